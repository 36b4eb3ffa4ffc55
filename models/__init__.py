"""What a conversation is: the tables and their behaviour. No HTTP, no environment, no clock."""

from models.answer import Answer
from models.attempt import Attempt
from models.console import ConsoleSession
from models.contact import Contact, People
from models.conversation import Conversation
from models.delivery import Delivery
from models.engine import respond
from models.marked_test import MarkedTest
from models.message import Message
from models.note import Note
from models.questionnaire.catalog import Catalog
from models.questionnaire.loader import InvalidQuestionnaire, load_catalog
from models.questionnaire.schema import Questionnaire
from models.receiver_form import ReceiverForm
from models.text import IncomingText

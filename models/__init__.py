"""What a conversation is: the entities and their behaviour. No HTTP, no Twilio, no clock."""

from models.contact import Contact, People
from models.conversation import Answer, Conversation
from models.database import Base, Database
from models.delivery import Delivery
from models.message import Message
from models.questionnaire import Questionnaire
from models.questionnaires import InvalidQuestionnaire, Questionnaires
from models.turn import receive

__all__ = [
    "Answer",
    "Base",
    "Contact",
    "Conversation",
    "Database",
    "Delivery",
    "InvalidQuestionnaire",
    "Message",
    "People",
    "Questionnaire",
    "Questionnaires",
    "receive",
]

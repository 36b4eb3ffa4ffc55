"""Who may use the console, and what operators did there."""

from models.console.action import COMMAND_LINE, DO, LOOK, Operator, OperatorAction
from models.console.attempt import SignInAttempt
from models.console.link import ConsoleLink
from models.console.password import ConsolePassword
from models.console.session import ConsoleSession
from models.console.share import ConsoleShare

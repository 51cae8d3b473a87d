"""What the clients' tests share: targets, stories of tool calls, one virtual machine for Java, and what cuts and
verifies."""

from .guard import Guard
from .java import Java, Outcome
from .relay import CuttingRelay
from .story import Step, Target, applicable, compare, tell
from .verify import Verifier

__all__ = ["CuttingRelay", "Guard", "Java", "Outcome", "Step", "Target", "Verifier", "applicable", "compare", "tell"]

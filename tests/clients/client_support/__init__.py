"""What the clients' tests share: targets, stories of tool calls, one virtual machine for Java."""

from .java import Java, Outcome
from .story import Step, Target, compare, tell

__all__ = ["Java", "Outcome", "Step", "Target", "compare", "tell"]

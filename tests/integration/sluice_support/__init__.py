"""What the integration tests share: the programs under test as objects, clients for their surfaces, bounded waits."""

from .admin import AdminClient, ApiError
from .balancer import Balancer, proxy_header
from .broker import OwnKafka
from .certificates import Authority
from .crowd import Crowd, exchange, raise_file_limit, resident_mib
from .kafka import KafkaHelper
from .logs import complete_lines, json_lines
from .native import NativeCluster, Tenant
from .process import Program
from .protocol import Definitions, Reader, TreeWriter, Writer, all_fields, frame
from .publishers import Publishers
from .sample import SampleApi
from .servers import ControlPlane, EmbeddedBroker, Gateway, Servers
from .sse import SseEvent, SseReader
from .version import known
from .wait import free_port, free_ports, wait_until
from .wire import Wire, receive, receive_frame, record_batch

__all__ = [
    "AdminClient",
    "ApiError",
    "Authority",
    "Balancer",
    "ControlPlane",
    "Definitions",
    "Crowd",
    "EmbeddedBroker",
    "Gateway",
    "KafkaHelper",
    "NativeCluster",
    "OwnKafka",
    "Program",
    "Publishers",
    "Reader",
    "SampleApi",
    "Servers",
    "SseEvent",
    "SseReader",
    "Tenant",
    "free_ports",
    "TreeWriter",
    "Wire",
    "Writer",
    "all_fields",
    "complete_lines",
    "exchange",
    "frame",
    "free_port",
    "json_lines",
    "known",
    "proxy_header",
    "raise_file_limit",
    "receive",
    "receive_frame",
    "record_batch",
    "resident_mib",
    "wait_until",
]

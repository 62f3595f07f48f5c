"""The impact of a plan: which features change for whom.

plan, memory --gathered--> contexts before and after --rules--> flips --> counts, and lists on disk
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

import msgspec
import numpy as np

from bucket_loader.config import Pipeline
from bucket_loader.model import Edition
from bucket_loader.planning import Plan
from bucket_loader.runs.impact.asked import WHOSE, Asked, asked_of, is_of_users, why_outside
from bucket_loader.runs.impact.contexts import Contexts, ContextsOf
from bucket_loader.runs.impact.definitions import Feature
from bucket_loader.runs.impact.flips import Flips
from bucket_loader.runs.impact.gathered import gathered
from bucket_loader.state import State

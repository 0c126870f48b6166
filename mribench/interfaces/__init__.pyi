from .dataset import (
    Dataset as Dataset,
    Exclusion as Exclusion,
    Scan as Scan,
    ScanValues as ScanValues,
    Subject as Subject,
)
from .encoder import (
    Decoder as Decoder,
    Encoder as Encoder,
)
from .entry import (
    KINDS as KINDS,
    Defect as Defect,
    EmptyMaskPolicy as EmptyMaskPolicy,
    Entry as Entry,
)
from .executor import (
    Completed as Completed,
    Executor as Executor,
    Resources as Resources,
)
from .input_file import InputFile as InputFile
from .metric import (
    Metric as Metric,
    Score as Score,
    ScoreStatus as ScoreStatus,
    SetMetric as SetMetric,
)
from .objective import Objective as Objective
from .options import (
    Component as Component,
    DatasetRef as DatasetRef,
    DecoderRef as DecoderRef,
    EncoderRef as EncoderRef,
    MetricRef as MetricRef,
    NoOptions as NoOptions,
    ObjectiveRef as ObjectiveRef,
    Options as Options,
    Profile as Profile,
    ProtocolOptions as ProtocolOptions,
    SequenceRef as SequenceRef,
    SplitRef as SplitRef,
    TaskRef as TaskRef,
    ViewsRef as ViewsRef,
)
from .split import (
    Split as Split,
    SplitRule as SplitRule,
)
from .task import (
    Forward as Forward,
    LabelScore as LabelScore,
    Task as Task,
    TaskVolume as TaskVolume,
)
from .tracker import (
    JobOutcome as JobOutcome,
    Logged as Logged,
    TrackedJob as TrackedJob,
    TrackedRun as TrackedRun,
    Tracker as Tracker,
)
from .views import (
    MRISequence as MRISequence,
    ParameterLabel as ParameterLabel,
    View as View,
    ViewGenerator as ViewGenerator,
    ViewRequest as ViewRequest,
)

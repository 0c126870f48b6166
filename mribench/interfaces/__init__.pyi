from .dataset import (
    Dataset as Dataset,
    Exclusion as Exclusion,
    Scan as Scan,
    ScanValues as ScanValues,
    Subject as Subject,
    TableDraft as TableDraft,
)
from .document import (
    Document as Document,
    TableSpec as TableSpec,
    columns_of as columns_of,
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
    Batch as Batch,
    Cause as Cause,
    Completed as Completed,
    Executor as Executor,
    Queued as Queued,
    Resources as Resources,
    WorkerCommand as WorkerCommand,
    WorkerExit as WorkerExit,
)
from .input_contract import (
    InputContract as InputContract,
    Intensity as Intensity,
)
from .input_file import InputFile as InputFile
from .mask import (
    Mask as Mask,
    MaskKind as MaskKind,
)
from .metric import (
    Metric as Metric,
    Score as Score,
    ScoreStatus as ScoreStatus,
    SetMetric as SetMetric,
    SetScore as SetScore,
)
from .objective import (
    Objective as Objective,
    ParameterGroup as ParameterGroup,
)
from .options import (
    Component as Component,
    DatasetRef as DatasetRef,
    DecoderRef as DecoderRef,
    EncoderRef as EncoderRef,
    ExecutorRef as ExecutorRef,
    MetricRef as MetricRef,
    NoOptions as NoOptions,
    ObjectiveRef as ObjectiveRef,
    Options as Options,
    ProbeRef as ProbeRef,
    Profile as Profile,
    ProtocolOptions as ProtocolOptions,
    SequenceRef as SequenceRef,
    SplitRef as SplitRef,
    TaskRef as TaskRef,
    ViewsRef as ViewsRef,
)
from .probe import (
    Probe as Probe,
    ProbeSubjects as ProbeSubjects,
)
from .split import (
    Split as Split,
    SplitRule as SplitRule,
)
from .subject_task import (
    SubjectHead as SubjectHead,
    SubjectTask as SubjectTask,
    TrainingSubject as TrainingSubject,
    TrainingTargets as TrainingTargets,
)
from .table import (
    Cell as Cell,
    Column as Column,
    Row as Row,
    Sentence as Sentence,
    Table as Table,
    said as said,
    text_cell as text_cell,
)
from .table_source import (
    Beside as Beside,
    GridSpec as GridSpec,
    LayoutSpec as LayoutSpec,
    Question as Question,
    RunResults as RunResults,
    RunTask as RunTask,
    ShownMetric as ShownMetric,
    TableSource as TableSource,
)
from .task import (
    Forward as Forward,
    LabelScore as LabelScore,
    Task as Task,
    TaskVolume as TaskVolume,
    unnamed_numbers as unnamed_numbers,
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
    SampleOrigin as SampleOrigin,
    View as View,
    ViewGenerator as ViewGenerator,
    ViewRequest as ViewRequest,
)
from .weights import GivenWeights as GivenWeights

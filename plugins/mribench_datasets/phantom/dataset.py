"""The phantom as a dataset that makes itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field, model_validator

from mribench.seeding import Identity
from mribench_datasets.phantom.anatomy import draw_anatomy
from mribench_datasets.phantom.cohort import CohortOptions, SimulatedCohort
from mribench_datasets.phantom.head import Anatomy
from mribench_datasets.phantom.layouts import Person

DEFAULT_SUBJECTS = 12


class PhantomOptions(CohortOptions):
    """A cohort of simulated heads."""

    subjects: int | None = Field(
        None, ge=1, le=999, description="how many, 12 unless given; the first ones do not depend on it"
    )
    spacing_mm: float = Field(2.0, ge=0.5, le=8, description="nominal voxel edge")
    seed: int = Field(0, ge=0, description="of the people; the layout is mixed into it")
    sites: dict[str, int] = Field(
        default_factory=dict, description="ixi: subjects of Guys, HH and IOP, in place of 'subjects'"
    )

    @model_validator(mode="after")
    def _sites_are_the_subjects(self) -> PhantomOptions:
        if self.sites and self.subjects not in (None, sum(self.sites.values())):
            raise ValueError(
                f"'sites' has {sum(self.sites.values())} subjects and 'subjects' says {self.subjects}"
            )
        return self


class Phantom(SimulatedCohort):
    """Simulated heads, written once into the cache as real files and read as the real archive is.

    The heads are the MNI152 template warped and given tissue values at random; see
    ``mribench_datasets.phantom``. A result on them is about simulated images, whatever the layout.
    """

    name = "phantom"
    simulated = True
    licence = "made on this machine from the ICBM 2009c template (free to use, copyright McConnell BIC)"
    source = "mribench itself"
    options: PhantomOptions

    def __init__(self, options: PhantomOptions) -> None:
        super().__init__(options)

    def what(self) -> str:
        """Return what the cohort is, in a few words."""
        options = self.options
        return f"phantom cohort ({self.count()} subjects, {options.layout} layout, {options.spacing_mm:g} mm)"

    def count(self) -> int:
        """Return the number of people."""
        return sum(self.options.sites.values()) or self.options.subjects or DEFAULT_SUBJECTS

    def content(self) -> Mapping[str, object]:
        """Return what the files depend on besides the options of every cohort."""
        return {"spacing_mm": self.options.spacing_mm}

    def people(self) -> Iterator[tuple[Person, Anatomy]]:
        """Yield everybody to be scanned, and their heads."""
        options = self.options
        for index, site in enumerate(self.site_of_each()):
            identity: tuple[Identity, ...] = (options.layout, options.seed, index)
            anatomy = draw_anatomy(identity, options.spacing_mm, self.has_lesion(identity))
            yield Person(index + 1, site, identity, "phantom"), anatomy

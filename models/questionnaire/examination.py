"""All that there is to say of the questionnaire files: for `check`, and for the console."""

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from models.questionnaire.catalog import Catalog
from models.questionnaire.costs import CostReport
from models.questionnaire.loader import examine
from models.questionnaire.problem import Problem


class Examination(NamedTuple):
    """What the files say, and all that is wrong or doubtful in them."""

    catalog: Catalog  # of the files without errors
    reports: Mapping[str, CostReport]  # of the same, by name
    problems: list[Problem]

    @classmethod
    def of(
        cls, directory: Path, people: Path, names: Collection[str], today: date
    ) -> "Examination":
        """Of the files in a directory, for guests with these names, which stand in `people`."""
        catalog, problems = examine(directory)
        invalid = {Path(problem.file).stem for problem in problems if problem.is_error}
        valid = {name: found for name, found in catalog if name not in invalid}
        reports = {name: CostReport.of(found, names, today) for name, found in valid.items()}
        for name, report in reports.items():
            file = str(directory / f"{name}.toml")
            problems += [warning._replace(file=file) for warning in report.warnings()]
            dear_names = report.ucs2_names(sorted(names))
            problems += [warning._replace(file=str(people)) for warning in dear_names]
        return cls(Catalog(valid), reports, list(dict.fromkeys(problems)))

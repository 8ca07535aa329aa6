"""photographs: originals to photographs with ids, groups and splits."""

from pathlib import Path

from pipeline.files import replacing_folder, write_json, write_metrics
from pipeline.params import Params
from pipeline.photographs.build import build_photographs
from stages.run import run


def main(params: Params) -> None:
    with replacing_folder(Path("data/photographs")) as folder:
        report = build_photographs(params, folder)
    write_json("data/set-aside.json", report.set_aside)
    counts = {
        "photographs": {"total": report.photographs.total(), **report.photographs},
        "groups": {"total": report.groups.total(), **report.groups},
        "set_aside": len(report.set_aside),
        "grouped": len(report.grouped),
    }
    write_metrics("metrics/photographs.json", counts)
    for item in report.set_aside:
        print(f"set aside {item['file']}: {item['reason']}")
    for item in report.grouped:
        print(f"grouped {item['file']} with {item['group']}: they show nearly the same")
    limit = "" if params.photographs.limit is None else f" (limit {params.photographs.limit})"
    total, groups = counts["photographs"]["total"], counts["groups"]["total"]
    print(f"{total} photographs of {groups} originals{limit}; {counts['set_aside']} files set aside")


if __name__ == "__main__":
    run(main)

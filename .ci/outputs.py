"""Whether a report folder's outputs say what its summary and its journal say, read by other people's parsers."""

import csv
import json
import math
import pathlib
import sys
import xml.etree.ElementTree as xml

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from prometheus_client.parser import text_string_to_metric_families

folder = pathlib.Path(sys.argv[1])
summary = json.loads((folder / "summary.json").read_text())


def junit():
    suites = xml.parse(folder / "junit.xml").getroot()
    (suite,) = suites
    cases = suite.findall("testcase")
    assert suite.get("name") == summary["scenario"]
    bad = {kind: sum(case.find(kind) is not None for case in cases) for kind in ("failure", "error")}
    for element in (suites, suite):
        assert int(element.get("tests")) == len(cases) > 0
        assert int(element.get("failures")) == bad["failure"]
        assert int(element.get("errors")) == bad["error"]
    assert (sum(bad.values()) == 0) == (summary["exit_code"] == 0)
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    for kind, wanted in (
        ("threshold", {threshold["expression"] for threshold in summary["thresholds"]}),
        ("slo", {slo["name"] for slo in summary["slos"]}),
    ):
        assert {name for group, name in names if group == f"{summary['scenario']}.{kind}"} == wanted


def markdown():
    lines = (folder / "summary.md").read_text().splitlines()
    assert summary["scenario"] in lines[0] and summary["verdict"].upper() in lines[0]
    columns = [len(line.replace("\\|", "").split("|")) for line in lines]
    for row in range(1, len(lines)):
        if lines[row - 1].startswith("|") and lines[row].startswith("|"):
            assert columns[row - 1] == columns[row], lines[row]


def timeline():
    with open(folder / "timeline.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(summary["timeline"])
    for row, point in zip(rows, summary["timeline"]):
        expected = {name: value for name, value in point.items() if not isinstance(value, dict)}
        for metric, latency in [*point["latency"].items(), ("started", point["started"] or {})]:
            for figure, value in latency.items():
                expected[f"{metric}_{figure}".replace(".", "_").replace("-", "_")] = value
        told = {name: float(value) for name, value in row.items() if value != ""}
        unknown = {name for name in told if name not in expected}
        assert not unknown, unknown
        for name, value in told.items():
            assert value == expected[name], (name, row, point)
        assert {"at_s", "released", "provisioned", "failed"} <= set(told)
        for metric in point["latency"]:
            assert f"{metric.replace('.', '_').replace('-', '_')}_p99_us" in told


def told():
    """Percentiles by a metric's name, as the summary tells them."""
    for name in ("registration", "provisioning", "failure"):
        for kind, percentiles in summary[name].items():
            yield f"{name.replace('failure', 'failed')}.{kind}", percentiles
    yield "generator", summary["generator"]["added"]
    yield from summary["phases"].items()


def records():
    """Response times out of the journal."""
    responses = {"registration.response": [], "provisioning.response": []}
    with open(folder / "journal.jsonl") as lines:
        for line in lines:
            record = json.loads(line).get("record")
            if record is None or record["reprovision"]:
                continue
            start = record["intended_start_us"]
            if record["registered_us"] is not None:
                responses["registration.response"].append(record["registered_us"] - start)
            if record["outcome"] == {"kind": "provisioned"}:
                after = sum(us for us in record["phases_us"][-2:] if us != NOT_REACHED)
                responses["provisioning.response"].append(record["end_us"] - after - start)
    return responses


NOT_REACHED = 2**32 - 1


def near(one, other, part=0.001):
    return abs(one - other) <= max(1, part * max(one, other))


QUANTILES = {"p50_us": 50, "p75_us": 75, "p90_us": 90, "p95_us": 95, "p99_us": 99, "p999_us": 99.9, "p9999_us": 99.99}


def rank(quantile, count):
    return max(1, math.ceil(quantile * count / 100 - 1e-9))


def histograms():
    metrics = {name: percentiles for name, percentiles in told() if percentiles is not None}
    assert set(metrics) == set(summary["distributions"]), "a distribution for each metric that was measured"
    for name, percentiles in metrics.items():
        counted = HdrHistogram.decode(summary["distributions"][name])
        assert counted.get_total_count() == percentiles["count"], name
        for key, quantile in QUANTILES.items():
            # Python's rounds a rank, where others take the next one.
            share = 100 * rank(quantile, percentiles["count"]) / percentiles["count"]
            assert near(counted.get_value_at_percentile(share), percentiles[key]), (name, key)
        plot = (folder / f"{name}.hgrm").read_text().splitlines()
        assert plot[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
        rows = [line.split() for line in plot[2:] if not line.startswith("#")]
        for value, share, below, *_ in rows:
            us, share = round(float(value) * 1000), 100 * float(share)
            # A sample that lies on the percentile itself belongs to either side.
            least, most = (counted.get_value_at_percentile(min(100, share + more)) for more in (0, 200 / percentiles["count"]))
            assert least <= us <= most or near(us, least), (name, share, us, least, most)
            assert int(below) >= math.floor(share / 100 * percentiles["count"])
        assert int(rows[-1][2]) == percentiles["count"] and float(rows[-1][1]) == 1
    for name, samples in records().items():
        samples.sort()
        assert len(samples) == metrics[name]["count"], name
        for key, quantile in QUANTILES.items():
            assert near(samples[rank(quantile, len(samples)) - 1], metrics[name][key]), (name, key)


def interval_log():
    log = HistogramLogReader(str(folder / "response.hlog"), HdrHistogram(1, 3_600_000_000, 3))
    totals = {}
    starts = []
    while (interval := log.get_next_interval_histogram()) is not None:
        starts.append(interval.get_start_time_stamp())
        totals.setdefault(interval.get_tag(), HdrHistogram(1, 3_600_000_000, 3)).add(interval)
    assert starts == sorted(starts) and starts
    for name in ("registration.response", "provisioning.response"):
        whole = HdrHistogram.decode(summary["distributions"][name])
        assert totals[name].get_total_count() == whole.get_total_count()
        for quantile in QUANTILES.values():
            of_intervals = totals[name].get_value_at_percentile(quantile)
            # Two digits.
            assert near(of_intervals, whole.get_value_at_percentile(quantile), 0.01), (name, quantile)


def prometheus():
    families = text_string_to_metric_families((folder / "fleetstorm.prom").read_text())
    samples = [sample for family in families for sample in family.samples]
    assert all(sample.labels["scenario"] == summary["scenario"] for sample in samples)

    def values(name, *labels):
        found = [sample for sample in samples if sample.name == f"fleetstorm_{name}"]
        return {tuple(sample.labels[label] for label in labels): sample.value for sample in found}

    devices = {(state,): count for state, count in summary["devices"].items()}
    assert values("devices", "state") == devices
    assert values("run_exit_code") == {(): summary["exit_code"]}
    latencies = values("latency_seconds", "metric", "quantile")
    for name, percentiles in told():
        if percentiles is not None:
            assert math.isclose(latencies[name, "0.99"] * 1e6, percentiles["p99_us"])
    checks = values("check_passed", "kind", "check")
    for threshold in summary["thresholds"]:
        assert checks["threshold", threshold["expression"]] == (threshold["outcome"] == "held")


junit()
markdown()
interval_log()
prometheus()
timeline()
histograms()

"""All experiments that need a GPU, as one queue that stops in time and goes on with the next call.

The queue is ordered by value: the tests that need a GPU; how fast trainings are, alone and packed on the card; growth
and pruning at real size (`torch-pruning` installed beside); the quantisers on CIFAR-10 (JPEG); the precision search at
equal bit operations; EMONAS and Q-NAS at longer trainings; searches for segmentation networks beside networks of MONAI,
on the test of each data set and over folds by patient; Enhanced Q-NAS on slices of chest CT; info-NAS with the labels
of 608 trained cells.
Many trainings run at the same time, each in a process of its own, with the images and their augmentation on the card.
Each writes its record below `--out` as it ends; what fails is recorded with its traceback, and the queue goes on. No
training is started that is not expected to end in time, and one that runs past the time is ended and begins again with
the next call. The data are not part of the project: `--data` is a folder with `cifar10_jpeg.npz`,
`fashion_mnist_12k.npz`, `msd_hippocampus/msd_hippocampus.npz`, `acdc_cardiac2d/acdc_cardiac2d.npz`,
`covid_ct/covid_ct.npz` and `nasbench201/cifar10.parquet`; what a missing file would need is left out.

A campaign continues wherever its folder is: `campaign.tar` of `--bundle` holds `records` and `starts` (the networks in
floating point that all trainings of a seed begin with, 1.1 MB each), `work.tar` the searches that were ended. Unpack
both into the `--out` of the next call. `results/campaign` beside this file holds the records made so far, but neither
weights nor searches. With the records alone, the trainings that start from networks written earlier are left out, and
new seeds, 3 and 4, go on:

    cp -r benchmarks/results/campaign runs/campaign
    tar xf campaign.tar -C runs/campaign  # if there is one
    python benchmarks/campaign.py --data DATA --out runs/campaign --minutes 9 --bundle BUNDLE
    python benchmarks/campaign.py --merge benchmarks/results/campaign runs/campaign

Then copy the new records into `results/campaign`. On one NVIDIA H200, the steps of the quantisers' trainings fill the
card: 4, 8 and 12 at the same time take as many steps per second together as one alone (`results/campaign_checks.json`),
so they run one after the other, 24 to 44 s each. What is left at 2 bits (`lsq` with seed 2, three kinds with seeds 1
and 2, everything with seeds 3 and 4) takes a quarter of an hour, and 1, 3 and 4 bits about an hour if they are as fast.
How long the precision searches and the studies take has not been measured: their seconds in the queue are guesses.

Run on a GPU: python benchmarks/campaign.py --data DATA --out runs/campaign --minutes 9
What is done and what comes next: python benchmarks/campaign.py --data DATA --out runs/campaign --list
Results of one or several machines: python benchmarks/campaign.py --merge runs/campaign runs/other
In miniature: python benchmarks/campaign.py --data DATA --out runs/mini --device cpu --slots 2 --scale 0.002 --minutes 5
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from _record import RESULTS
from campaign_tasks.entries import Settings, queue
from campaign_tasks.records import Store, merge
from campaign_tasks.runner import Runner


def main() -> None:
    begun = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the npz files")
    parser.add_argument("--out", type=Path, default=Path("runs/campaign"), help="folder of records and of what goes on")
    parser.add_argument("--minutes", type=float, default=9.0, help="minutes after which everything ends")
    parser.add_argument(
        "--slots", type=int, default=12, help="trainings at the same time at most; timings may say fewer"
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--scale", type=float, default=1.0, help="share of images and epochs")
    parser.add_argument("--only", nargs="+", default=None, metavar="NAME", help="experiments, or EXPERIMENT/NAME")
    parser.add_argument("--retry", action="store_true", help="do failed trainings again")
    parser.add_argument(
        "--bundle", type=Path, default=None, help="folder for campaign.tar and work.tar, kept up to date"
    )
    parser.add_argument("--list", action="store_true", help="show the queue and do nothing")
    parser.add_argument("--merge", type=Path, nargs="+", default=None, metavar="DIR", help="make results of records")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the merged results")
    arguments = parser.parse_args()
    if arguments.merge:
        merge(arguments.merge, arguments.results)
        return
    settings = Settings(
        out=arguments.out.resolve(),
        data=arguments.data.resolve(),
        device=arguments.device,
        scale=arguments.scale,
        slots=arguments.slots,
    )
    store = Store(settings.out)
    wanted = arguments.only
    entries = [e for e in queue(settings) if not wanted or e.experiment in wanted or e.key in wanted]
    if arguments.list:
        states = []
        for entry in entries:
            record = store.read(entry)
            states.append("waiting" if record is None else record["state"])
            print(f"{states[-1]:8} {entry.key}")
        print(", ".join(f"{count} {state}" for state, count in Counter(states).items()))
        return

    def bundles() -> None:
        if arguments.bundle is not None:
            store.bundle(arguments.bundle / "campaign.tar", ("records", "starts"))

    runner = Runner(entries, store, settings, begun + 60 * arguments.minutes, retry=arguments.retry, bundles=bundles)
    try:
        runner.run()
    finally:
        if arguments.bundle is not None:
            store.bundle(arguments.bundle / "work.tar", ("work",))
    counts = Counter(runner.states.get(entry.key, "waiting") for entry in entries)
    print(", ".join(f"{count} {state}" for state, count in counts.items()), flush=True)


if __name__ == "__main__":
    main()

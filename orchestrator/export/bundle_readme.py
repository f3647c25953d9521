"""The README of a bundle: what is in it, how to check it, how to run a network of it."""

from __future__ import annotations

from orchestrator.export.archive import CHECKSUMS
from orchestrator.report import wording
from orchestrator.report.answer import Answer, answer
from orchestrator.report.results import Results
from orchestrator.report.table_formats import markdown_text

_TEXT = """# {study}

{lead}
{notes}{unfinished}
Trained, compressed and measured with Orch {version} on the data set {dataset}.

| file | what it is |
| --- | --- |
| report/report.html | the results as one page that needs nothing else: open it in a browser |
| report/results.csv, results.json, results.md, attempts.csv, figures/ | the same figures for programs, and the charts |
| study.json | the study, with every key |
| table.json | the job table: each job with its spec and what it measured, each attempt, the digest of each network |
| environment.json | the versions and devices that the home tells of |
| models/ | {networks}, below the names of the jobs that made them: MODEL/seedN/compress/METHOD/model.tflite for \
LiteRT, model.keras for Keras; what fine-tunings left in MODEL/seedN/fine-tune |
| {checksums} | the SHA-256 of every file |

The names of workers and of their machines are in table.json and in the report. Training and test images, shards,
training states and logs are not here.

## Check it

```console
$ sha256sum -c {checksums}          # in this directory; on macOS: shasum -a 256 -c {checksums}
```

The archive's own digest (`sha256sum FILE.zip`) is what to print beside the figures: whoever exports the same home with
the same version of Orch gets the same bytes.

## Run a network

```python
import keras
from ai_edge_litert.interpreter import Interpreter

trained = keras.models.load_model("models/MODEL/seed0/compress/float32/model.keras")
compressed = Interpreter("models/MODEL/seed0/compress/METHOD/model.tflite")
```

Both take float32 pixels from 0 to 255, [images, height, width, channels], and give logits, [images, classes]. A
model.tflite.zst is unpacked once, with `zstd -d`.

## What was measured

{benches}
"""


def text(results: Results, networks: int, version: str) -> str:
    """Args:
    networks: how many files of them there are.
    version: of Orch.
    """
    said = answer(results)
    return _TEXT.format(
        study=markdown_text(results.study),
        lead=markdown_text(said.lead),
        notes="".join(f"\n> **Note:** {markdown_text(note)}\n" for note in results.notes),
        unfinished="".join(f"\n- {markdown_text(sentence)}" for sentence in said.unfinished)
        + "\n" * bool(said.unfinished),
        version=version,
        dataset=markdown_text(results.dataset),
        networks=wording.counted(networks, "file") if networks else "nothing yet",
        checksums=CHECKSUMS,
        benches=_benches(said),
    )


def _benches(said: Answer) -> str:
    if not said.benches:
        return "Nothing yet."
    return "\n\n".join(f"On {markdown_text(str(each.bench))}: {markdown_text(each.headline)}" for each in said.benches)

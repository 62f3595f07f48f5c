"""In a real Jupyter kernel, as a person's notebook has it."""

import nbformat
import pytest
from nbclient import NotebookClient

CODE = """
import pandas as pd
from bucket_loader import rehearse

frame = pd.DataFrame({"id": ["1", None], "seats": [4711, 2]})
rehearse(frame, record="company", fields={"companyId": "id", "attributes": "*"}, quiet=False, faults=FAULTS)
"""
SLOW = {"seed": 1, "faults": [{"kind": "latency", "seconds": 1.2}]}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Return what a cell with the code shows."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE.replace("FAULTS", repr(SLOW)))])
    NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=60,
        resources={"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}},
    ).execute()
    return notebook.cells[0].outputs


def test_a_table_is_rehearsed_in_a_notebook(outputs):
    """The cell ends with the summary as a table, with why a row was rejected, and without its values."""
    shown = outputs[-1].data["text/html"]

    assert "<td>dataframe</td><td>2</td><td>1</td><td>1</td>" in shown
    assert "cannot do without it" in shown
    assert "4711" not in str(outputs)


def test_progress_is_a_bar_under_the_cell(outputs):
    """It is one output that changes, and ends full."""
    bars = [one.data["text/html"] for one in outputs if "<progress" in str(one.get("data", ""))]

    assert len(bars) == 1
    assert 'value="1" max="1"' in bars[0]

"""Fuzzes a server from its own OpenAPI description.

check            imports what is needed
run URL SEED     prints Schemathesis' report, and ends with its exit code
"""

import os
import subprocess
import sys
import tempfile


# 413 is how too many pictures are refused; the others are what Schemathesis expects, as far as the server gives them.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 405, 413, 415, 422]
"""


def run(url: str, seed: str) -> int:
    command = os.path.join(os.path.dirname(sys.executable), "st")
    arguments = [
        command,
        "run",
        url + "/openapi.json",
        "--no-color",
        "--phases=coverage,fuzzing",
        "--max-examples=5",
        "--seed=" + seed,
        "--generation-database=none",
        "--request-timeout=20",
        "--continue-on-failure",
        # No schema can say what bytes are a picture: most of what is drawn for one is rightly refused.
        "--exclude-checks=positive_data_acceptance",
    ]
    # It leaves files for its own later runs where it is started.
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "schemathesis.toml"), "w") as file:
            file.write(CONFIGURATION)
        return subprocess.run(arguments, cwd=folder, stderr=subprocess.STDOUT).returncode


if __name__ == "__main__":
    if sys.argv[1] == "check":
        import schemathesis  # noqa: F401
    else:
        sys.exit(run(sys.argv[2], sys.argv[3]))

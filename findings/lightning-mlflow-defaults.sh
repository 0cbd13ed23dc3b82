#!/usr/bin/env bash
# Lightning's `MLFlowLogger()` raises with MLflow 3: its default is a folder, ./mlruns, which MLflow refuses unless
# MLFLOW_ALLOW_FILE_STORE is true. Where it is, losses stay on the disk, and a thread asks config.mlflow-telemetry.io all
# the same, without a word: set MLFLOW_DISABLE_TELEMETRY before the import. In CI and under pytest it does not ask, so tests
# do not show it.
# Versions: pytorch-lightning 2.6.6, mlflow-skinny 3.17.2, torch 2.13.0 (CPU), Python 3.11.
# Seen: MlflowException; then a look-up of the address, and none with MLFLOW_DISABLE_TELEMETRY=true.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 pytorch-lightning==2.6.6 mlflow-skinny==3.17.2
cd "$folder"
cat > log.py <<'PYTHON'
import socket
import sys
import time

asked = []


def refuse(host, *rest, **more):
    asked.append(host)
    raise socket.gaierror("no network here")


socket.getaddrinfo = refuse
from pytorch_lightning.loggers import MLFlowLogger

try:
    MLFlowLogger().log_metrics({"loss": 1.0}, 1)
    time.sleep(15)
    print("logged;", "asked:", sorted({*asked}))
except Exception as error:
    print(type(error).__name__)
assert sys.argv[1] in (sorted({*asked}) or ["none"]), "the behaviour has changed"
PYTHON
run() { env -u CI -u PYTEST_CURRENT_TEST -u MLFLOW_DISABLE_TELEMETRY -u DO_NOT_TRACK "${@:2}" venv/bin/python log.py "$1"; }
test "$(run none)" = MlflowException
run config.mlflow-telemetry.io MLFLOW_ALLOW_FILE_STORE=true
run none MLFLOW_ALLOW_FILE_STORE=true MLFLOW_DISABLE_TELEMETRY=true

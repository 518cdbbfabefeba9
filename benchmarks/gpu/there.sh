#!/bin/sh
# python -m benchmarks.gpu ARGS, from a copy of the checkout, by a python3 that has PyTorch, with the wheels of `make gpu-bundle`
set -e
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agentlab needs Python 3.11 or newer; name one with PYTHON=")'
mkdir -p build/names
ln -sfn ../.. build/names/agentlab_runner
if [ -d build/wheels ]; then
  "$python" -m pip install --quiet --no-index --no-deps --upgrade --target build/site build/wheels/*.whl
fi
PYTHONPATH=$PWD/build/names:$PWD/build/site:$PWD exec "$python" -m benchmarks.gpu "$@"

"""The plugin's entry: light to import, plain about its devices."""

import os
import subprocess
import sys

import pytest

from recurra.contract import Backend
from recurra.errors import InputError

pytestmark = pytest.mark.tensorflow


def fresh(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean | environment)


def test_making_the_backend_imports_no_framework() -> None:
    code = (
        "import sys; from recurra_tensorflow.plugin import recurra_backend; recurra_backend();"
        "print('tensorflow' in sys.modules)"
    )
    assert fresh(code).stdout.strip() == "False"


def test_tensorflow_comes_without_keras_but_keras_can_be_had() -> None:
    code = (
        "import sys; from recurra_tensorflow.framework import tf; print('keras' in sys.modules);"
        "print(tf.keras.layers.Dense(2)(tf.zeros([1, 3])).shape)"
    )
    assert fresh(code).stdout.split("\n")[:2] == ["False", "(1, 2)"]


def test_a_log_level_of_the_user_is_kept() -> None:
    code = "import recurra_tensorflow.framework, os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    assert fresh(code).stdout.strip() == "3"
    assert fresh(code, TF_CPP_MIN_LOG_LEVEL="0").stdout.strip() == "0"


def test_what_others_write_while_tensorflow_loads_is_passed_on() -> None:
    code = (
        "import os\n"
        "from recurra_tensorflow import framework\n"
        "del os.environ[framework.LOG_LEVEL]\n"
        "with framework._without_greetings(): os.write(2, b'I0000 00:00:1 4 port.cc:1] hello\\nE0000 broken\\n')"
    )
    assert fresh(code).stderr == "E0000 broken\n"


def test_an_unknown_device_is_refused_with_those_there_are(spec) -> None:
    from recurra_tensorflow.plugin import recurra_backend

    with pytest.raises(InputError, match=r"^device: TensorFlow sees no 'gpu:7' here, only .*cpu; choose one of these$"):
        recurra_backend().build(spec("cnn"), "gpu:7", 0)


def test_the_backend_keeps_the_contract() -> None:
    from recurra_tensorflow.plugin import recurra_backend

    backend = recurra_backend()
    assert isinstance(backend, Backend)
    assert backend.devices()[-1].name == "cpu"
    assert all(isinstance(value, str) for value in backend.describe().values())

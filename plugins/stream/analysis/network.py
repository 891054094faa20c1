"""Run a TensorFlow Lite model on one core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_edge_litert.interpreter import Interpreter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Network:
    """Hold one loaded model with one input. It is not safe to use from two threads."""

    def __init__(self, content: bytes) -> None:
        self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = self._interpreter.get_output_details()

    def output(self, size: int, name: str | None = None) -> int:
        """Return the index of the output whose last dimension is `size`, and whose name is `name` if given."""
        return next(
            int(output["index"])
            for output in self._outputs
            if (output["shape"][-1] == size and name in {None, output["name"]})
        )

    def run(self, tensor: NDArray[np.float32], *outputs: int) -> list[NDArray[np.float32]]:
        """Return the wanted outputs for one input, without its batch dimension where it has one."""
        self._interpreter.set_tensor(self._input, tensor[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output) for output in outputs]

"""An OPC UA server in a process of its own, to be killed and frozen: PORT VALUE [NAMESPACE...]."""

import asyncio
import sys

from tests.drivers.opcua.served import Plant, double


async def serve(port: int, value: float, before: list[str]) -> None:
    plant = Plant(port=port, more=200)
    await plant.start(*before)
    await plant.put("d", double(value))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))

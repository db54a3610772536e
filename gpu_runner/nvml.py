"""What the driver says about the GPUs, through NVML alone: identity, memory, processes, one telemetry sample.

A call that this driver or GPU does not support gives None, never an exception. A GPU that fell off the bus gives
`lost=True`. NVML is loaded by `pynvml` from `libnvidia-ml.so.1`; nothing of nvidia-smi is ever parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from ledger.errors import Unavailable

MIB = 1024 * 1024

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU, or one MIG slice of one, as something a repeat can be given.

    label: `0`, `1`, or `0/2` for the third MIG device of GPU 0, in the PCI order of the driver.
    visible: what goes into CUDA_VISIBLE_DEVICES for it (the index, or the UUID for MIG).
    """

    index: int
    mig_index: int | None
    uuid: str
    name: str
    total_mib: int | None
    pci: str | None
    handle: Any

    @property
    def label(self) -> str:
        """`0`, or `0/2` for a MIG device."""
        return str(self.index) if self.mig_index is None else f"{self.index}/{self.mig_index}"

    @property
    def visible(self) -> str:
        """What CUDA_VISIBLE_DEVICES names it."""
        return str(self.index) if self.mig_index is None else self.uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a GPU is doing now. processes: pid to MiB (None: not told), or None when the driver lists none at all."""

    used_mib: int | None
    total_mib: int | None
    processes: dict[int, int | None] | None
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One telemetry sample of one GPU; None where the driver has no value. Units are in the names."""

    sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    power_mw: int | None
    temperature_c: int | None
    used_mib: int | None
    utilization_percent: int | None
    throttle: int | None
    lost: bool = False


class Nvml:
    """An open NVML session; a context manager. Raises `Unavailable` when there is no driver to talk to."""

    def __init__(self) -> None:
        import pynvml

        self._nvml: ModuleType = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise no_driver(error) from None

    def __enter__(self) -> Nvml:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ask(self._nvml.nvmlShutdown)

    def driver(self) -> dict[str, str | None]:
        """The versions of driver, NVML and the CUDA the driver supports."""
        cuda = self._ask(self._nvml.nvmlSystemGetCudaDriverVersion_v2)
        return {
            "driver": self._ask(self._nvml.nvmlSystemGetDriverVersion),
            "nvml": self._ask(self._nvml.nvmlSystemGetNVMLVersion),
            "cuda": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        }

    def gpus(self) -> list[Gpu]:
        """Every GPU in the driver's order; one in MIG mode is replaced by its MIG devices.

        A GPU whose handle or UUID cannot be had (lost, being removed) is left out.
        """
        found: list[Gpu] = []
        for index in range(self._ask(self._nvml.nvmlDeviceGetCount) or 0):
            handle = self._ask(self._nvml.nvmlDeviceGetHandleByIndex, index)
            uuid = None if handle is None else self._ask(self._nvml.nvmlDeviceGetUUID, handle)
            if uuid is None:
                continue
            mode = self._ask(self._nvml.nvmlDeviceGetMigMode, handle)
            if mode and mode[0]:
                found += self._mig_devices(index, handle)
            else:
                found.append(self._gpu(index, None, handle, uuid))
        return found

    def unreadable(self) -> list[int]:
        """Indices the driver counts but does not answer for: GPUs that fell off the bus or are being removed."""
        count = self._ask(self._nvml.nvmlDeviceGetCount) or 0
        return sorted(set(range(count)) - {gpu.index for gpu in self.gpus()})

    def load(self, gpu: Gpu) -> Load:
        """Memory and compute processes of a GPU, now."""
        nvml = self._nvml
        try:
            memory = self._memory(gpu.handle)
            listed = self._processes(gpu.handle)
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_InvalidArgument):
            return Load(used_mib=None, total_mib=gpu.total_mib, processes=None, lost=True)
        processes = None
        if listed is not None:
            processes = {p.pid: None if p.usedGpuMemory is None else p.usedGpuMemory // MIB for p in listed}
        return Load(
            used_mib=None if memory is None else -(-memory.used // MIB),
            total_mib=None if memory is None else memory.total // MIB,
            processes=processes,
        )

    def read(self, gpu: Gpu) -> Reading:
        """One telemetry sample: seven calls to the driver."""
        nvml, handle = self._nvml, gpu.handle
        try:
            memory = self._memory(handle)
            utilization = self._quiet(nvml.nvmlDeviceGetUtilizationRates, handle)
            return Reading(
                sm_clock_mhz=self._quiet(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
                memory_clock_mhz=self._quiet(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
                power_mw=self._quiet(nvml.nvmlDeviceGetPowerUsage, handle),
                temperature_c=self._temperature(handle),
                used_mib=None if memory is None else -(-memory.used // MIB),
                utilization_percent=None if utilization is None else utilization.gpu,
                throttle=self._throttle(handle),
            )
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_InvalidArgument):
            nothing = dict.fromkeys(
                (
                    "sm_clock_mhz",
                    "memory_clock_mhz",
                    "power_mw",
                    "temperature_c",
                    "used_mib",
                    "utilization_percent",
                    "throttle",
                )
            )
            return Reading(**nothing, lost=True)

    def energy_mj(self, gpu: Gpu) -> int | None:
        """Millijoules since the driver was loaded (Volta and newer)."""
        value: int | None = self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, gpu.handle)
        return value

    def ecc_errors(self, gpu: Gpu) -> tuple[int | None, int | None]:
        """(corrected, uncorrected) memory errors since the driver was loaded."""
        nvml = self._nvml
        corrected, uncorrected = (
            self._ask(nvml.nvmlDeviceGetTotalEccErrors, gpu.handle, kind, nvml.NVML_VOLATILE_ECC)
            for kind in (nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
        )
        return corrected, uncorrected

    def describe(self, gpu: Gpu) -> dict[str, Any]:
        """What does not change while a GPU runs: for inventories and the environment fingerprint."""
        nvml, handle = self._nvml, gpu.handle
        capability = self._ask(nvml.nvmlDeviceGetCudaComputeCapability, handle)
        ecc = self._ask(nvml.nvmlDeviceGetEccMode, handle)
        return {
            "index": gpu.label,
            "uuid": gpu.uuid,
            "name": gpu.name,
            "total_mib": gpu.total_mib,
            "pci": gpu.pci,
            "compute_capability": None if capability is None else ".".join(map(str, capability)),
            "sm_clock_max_mhz": self._ask(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM),
            "memory_clock_max_mhz": self._ask(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_MEM),
            "power_limit_mw": self._ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle),
            "ecc": None if ecc is None else bool(ecc[0]),
            "persistence": self._as_bool(self._ask(nvml.nvmlDeviceGetPersistenceMode, handle)),
        }

    def pcie(self, gpu: Gpu) -> dict[str, int | None]:
        """The link as it is now; it drops to a lower generation on an idle GPU."""
        nvml = self._nvml
        return {
            "pcie_generation": self._ask(nvml.nvmlDeviceGetCurrPcieLinkGeneration, gpu.handle),
            "pcie_width": self._ask(nvml.nvmlDeviceGetCurrPcieLinkWidth, gpu.handle),
        }

    def _gpu(self, index: int, mig_index: int | None, handle: Any, uuid: str) -> Gpu:
        memory = self._ask(self._memory, handle)
        pci = self._ask(self._nvml.nvmlDeviceGetPciInfo_v3, handle)
        bus = None if pci is None else pci.busId
        return Gpu(
            index=index,
            mig_index=mig_index,
            uuid=uuid,
            name=self._ask(self._nvml.nvmlDeviceGetName, handle) or "unknown GPU",
            total_mib=None if memory is None else memory.total // MIB,
            pci=bus.decode() if isinstance(bus, bytes) else bus,
            handle=handle,
        )

    def _mig_devices(self, index: int, parent: Any) -> list[Gpu]:
        slices = []
        for number in range(self._ask(self._nvml.nvmlDeviceGetMaxMigDeviceCount, parent) or 0):
            handle = self._ask(self._nvml.nvmlDeviceGetMigDeviceHandleByIndex, parent, number)
            uuid = None if handle is None else self._ask(self._nvml.nvmlDeviceGetUUID, handle)
            if uuid is not None:
                slices.append(self._gpu(index, number, handle, uuid))
        return slices

    def _memory(self, handle: Any) -> Any:
        # v1 counts the driver's reserved memory as used, which alone can exceed the gate's limit
        nvml = self._nvml
        newest = self._quiet(nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
        if newest is not None:
            return newest
        try:
            return nvml.nvmlDeviceGetMemoryInfo(handle)
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_InvalidArgument):
            raise  # every GPU answers this one: a handle that is no longer valid belongs to a removed GPU
        except nvml.NVMLError:
            return None

    def _processes(self, handle: Any) -> list[Any] | None:
        newest: list[Any] | None = self._quiet(self._nvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
        if newest is not None:
            return newest
        older: list[Any] | None = self._quiet(self._nvml.nvmlDeviceGetComputeRunningProcesses_v2, handle)
        return older

    def _temperature(self, handle: Any) -> int | None:
        nvml = self._nvml
        newest: int | None = self._quiet(nvml.nvmlDeviceGetTemperatureV, handle, nvml.NVML_TEMPERATURE_GPU)
        if newest is not None:
            return newest
        older: int | None = self._quiet(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        return older

    def _throttle(self, handle: Any) -> int | None:
        nvml = self._nvml
        newest: int | None = self._quiet(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if newest is not None:
            return newest
        older: int | None = self._quiet(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        return older

    def _quiet(self, call: Callable[..., Value], *args: Any) -> Value | None:
        """None for anything the driver cannot answer (for a MIG device that is much), but a lost GPU still raises."""
        nvml = self._nvml
        try:
            return call(*args)
        except nvml.NVMLError_GpuIsLost:
            raise
        except nvml.NVMLError:
            return None

    def _ask(self, call: Callable[..., Value], *args: Any) -> Value | None:
        try:
            return call(*args)
        except self._nvml.NVMLError:
            return None

    @staticmethod
    def _as_bool(value: int | None) -> bool | None:
        return None if value is None else bool(value)


def no_driver(error: Exception) -> Unavailable:
    """The one sentence for a machine without a usable NVIDIA driver."""
    return Unavailable(
        f"no NVIDIA driver answers here: {error}",
        code="no_gpu_driver",
        hint="run this on a GPU host (in a container: started with its GPUs), or ask for 0 GPUs",
    )

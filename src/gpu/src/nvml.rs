//! The real driver.

use std::{collections::BTreeMap, ffi::OsString};

use nvml_wrapper::{
    bitmasks::{InitFlags, event::EventTypes},
    cuda_driver_version_major, cuda_driver_version_minor,
    device::Device,
    enum_wrappers::device::{EccCounter, MemoryError, TemperatureSensor},
    enums::{device::UsedGpuMemory, event::XidError},
    error::NvmlError,
    event::EventSet,
};

use crate::{Driver, Library, Memory, Process, Reading, Trouble, Versions};

/// Where the library is: what the dynamic linker finds, then NixOS, then Windows' subsystem for Linux, which both keep it
/// where a linker does not look by itself.
const PLACES: [&str; 3] =
    ["libnvidia-ml.so.1", "/run/opengl-driver/lib/libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"];

/// The most Xid errors that are fetched from one GPU at one look; the rest waits for the next.
const MAX_EVENTS: usize = 32;

/// A newer code of NVML for [`NvmlError::NotFound`] that the wrapper does not know (`NVML_ERROR_GPU_NOT_FOUND`).
const GPU_NOT_FOUND: u32 = 28;

/// The number that stands for an Xid error whose number the driver does not know (`nvml.h`).
const UNKNOWN_XID: u64 = 999;

/// NVIDIA's management library, loaded each time that the driver is opened.
#[derive(Debug, Clone)]
pub struct Nvml {
    places: Vec<OsString>,
}

impl Nvml {
    /// The library where this system has it.
    pub fn installed() -> Self {
        Self { places: PLACES.map(OsString::from).to_vec() }
    }

    /// The library in this file.
    pub fn at(file: impl Into<OsString>) -> Self {
        Self { places: vec![file.into()] }
    }

    fn load(&self) -> Result<nvml_wrapper::Nvml, Trouble> {
        let mut missing = Vec::new();
        for place in &self.places {
            // Without the flag a machine without a GPU would be told apart from one without a driver by nobody.
            match nvml_wrapper::Nvml::builder().lib_path(place).flags(InitFlags::NO_GPUS).init() {
                Ok(nvml) => return Ok(nvml),
                Err(NvmlError::LibloadingError(error)) => missing.push(error.to_string()),
                Err(error) => return Err(trouble(error)),
            }
        }
        // The first place is the one that a person would mend.
        Err(Trouble::NoLibrary(missing.into_iter().next().unwrap_or_default()))
    }
}

impl Library for Nvml {
    fn open(&mut self, used: &mut dyn FnMut(&mut dyn Driver)) -> Result<(), Trouble> {
        let nvml = self.load()?;
        used(&mut Opened { nvml: &nvml, events: BTreeMap::new() });
        Ok(())
    }
}

struct Opened<'a> {
    nvml: &'a nvml_wrapper::Nvml,
    /// Each GPU's Xid errors; `None` where the driver does not tell of them.
    events: BTreeMap<u32, Option<EventSet<'a>>>,
}

impl Driver for Opened<'_> {
    fn versions(&mut self) -> Versions {
        let cuda = self.nvml.sys_cuda_driver_version();
        let cuda = cuda.map(|v| format!("{}.{}", cuda_driver_version_major(v), cuda_driver_version_minor(v)));
        Versions { driver: self.nvml.sys_driver_version().unwrap_or_default(), cuda: cuda.unwrap_or_default() }
    }

    fn count(&mut self) -> Result<u32, Trouble> {
        self.nvml.device_count().map_err(trouble)
    }

    fn gpu(&mut self, index: u32) -> Result<Reading, Trouble> {
        let device = self.nvml.device_by_index(index).map_err(trouble)?;
        let memory = known(device.memory_info())?.map(|memory| Memory { total: memory.total, used: memory.used });
        Ok(Reading {
            uuid: device.uuid().map_err(trouble)?,
            name: device.name().map_err(trouble)?,
            memory,
            percent: known(device.utilization_rates())?.map(|rates| rates.gpu.min(100) as u8),
            temperature: known(device.temperature(TemperatureSensor::Gpu))?,
            ecc_uncorrected: known(device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile))?,
            processes: processes(&device)?,
            xids: self.xids(index, &device)?,
        })
    }
}

impl<'a> Opened<'a> {
    /// Xid errors since they were last asked for. It never waits for one.
    fn xids(&mut self, index: u32, device: &Device<'a>) -> Result<Vec<u64>, Trouble> {
        let nvml = self.nvml;
        // A set for each GPU: a driver that refuses to register one takes the whole set with it.
        let events = self.events.entry(index).or_insert_with(|| {
            let set = nvml.create_event_set().ok()?;
            device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok()
        });
        let Some(events) = events else { return Ok(Vec::new()) };
        let mut xids = Vec::new();
        while xids.len() < MAX_EVENTS {
            match events.wait(0) {
                Ok(event) => xids.extend(event.event_data.map(|xid| match xid {
                    XidError::Value(code) => code,
                    XidError::Unknown => UNKNOWN_XID,
                })),
                Err(NvmlError::Timeout) => break,
                Err(error) => {
                    known::<()>(Err(error))?;
                    break;
                }
            }
        }
        Ok(xids)
    }
}

fn processes(device: &Device<'_>) -> Result<Vec<Process>, Trouble> {
    let running = known(device.running_compute_processes())?.unwrap_or_default();
    let of = |memory| match memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    Ok(running.into_iter().map(|process| Process { pid: process.pid, bytes: of(process.used_gpu_memory) }).collect())
}

/// A figure, or nothing where this model or this driver has none. What is wrong with the GPU itself stays an error.
fn known<T>(figure: Result<T, NvmlError>) -> Result<Option<T>, Trouble> {
    match figure.map_err(trouble) {
        Ok(figure) => Ok(Some(figure)),
        Err(trouble @ (Trouble::Unloaded | Trouble::NotLoaded | Trouble::Lost | Trouble::ResetRequired)) => {
            Err(trouble)
        }
        Err(_) => Ok(None),
    }
}

fn trouble(error: NvmlError) -> Trouble {
    match error {
        NvmlError::LibloadingError(error) => Trouble::NoLibrary(error.to_string()),
        NvmlError::DriverNotLoaded => Trouble::NotLoaded,
        NvmlError::LibRmVersionMismatch => Trouble::Mismatch,
        NvmlError::NoPermission | NvmlError::OperatingSystem => Trouble::NoPermission,
        NvmlError::NotFound | NvmlError::UnexpectedVariant(GPU_NOT_FOUND) => Trouble::NoGpu,
        NvmlError::Uninitialized => Trouble::Unloaded,
        NvmlError::GpuLost => Trouble::Lost,
        NvmlError::ResetRequired => Trouble::ResetRequired,
        other => Trouble::Other(other.to_string()),
    }
}

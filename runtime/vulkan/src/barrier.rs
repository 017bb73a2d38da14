//! Memory barriers between recorded commands.

use ash::vk;

/// What waits for what. Every barrier is global: it covers all buffers, reads after writes, writes after reads and writes
/// after writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Barrier {
    /// Dispatches wait for dispatches.
    ComputeToCompute,
    /// Copies and fills wait for dispatches.
    ComputeToTransfer,
    /// Dispatches wait for copies and fills.
    TransferToCompute,
    /// Copies and fills wait for copies and fills.
    TransferToTransfer,
    /// All wait for all of the device's work.
    DeviceToDevice,
    /// All wait for what the host wrote. A submission does so by itself for what was written before it.
    HostToDevice,
    /// What the host reads afterwards waits for the device's work. Commands that use a mapped buffer end with it by
    /// themselves.
    DeviceToHost,
}

/// Stages and accesses of one barrier, as `vkCmdPipelineBarrier` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) src_stage: vk::PipelineStageFlags,
    pub(crate) dst_stage: vk::PipelineStageFlags,
    pub(crate) src_access: vk::AccessFlags,
    pub(crate) dst_access: vk::AccessFlags,
}

/// One side of a barrier: its stages, what it writes, and all its accesses.
struct Side {
    stage: vk::PipelineStageFlags,
    writes: vk::AccessFlags,
    accesses: vk::AccessFlags,
}

impl Side {
    fn compute() -> Side {
        let writes = vk::AccessFlags::SHADER_WRITE;
        Side {
            stage: vk::PipelineStageFlags::COMPUTE_SHADER,
            writes,
            accesses: writes | vk::AccessFlags::SHADER_READ | vk::AccessFlags::UNIFORM_READ,
        }
    }

    fn transfer() -> Side {
        let writes = vk::AccessFlags::TRANSFER_WRITE;
        Side {
            stage: vk::PipelineStageFlags::TRANSFER,
            writes,
            accesses: writes | vk::AccessFlags::TRANSFER_READ,
        }
    }

    fn device() -> Side {
        let (compute, transfer) = (Side::compute(), Side::transfer());
        Side {
            stage: compute.stage | transfer.stage,
            writes: compute.writes | transfer.writes,
            accesses: compute.accesses | transfer.accesses,
        }
    }

    fn host() -> Side {
        let writes = vk::AccessFlags::HOST_WRITE;
        Side { stage: vk::PipelineStageFlags::HOST, writes, accesses: writes | vk::AccessFlags::HOST_READ }
    }
}

impl Barrier {
    pub(crate) fn masks(self) -> Masks {
        let (src, dst) = match self {
            Barrier::ComputeToCompute => (Side::compute(), Side::compute()),
            Barrier::ComputeToTransfer => (Side::compute(), Side::transfer()),
            Barrier::TransferToCompute => (Side::transfer(), Side::compute()),
            Barrier::TransferToTransfer => (Side::transfer(), Side::transfer()),
            Barrier::DeviceToDevice => (Side::device(), Side::device()),
            Barrier::HostToDevice => (Side::host(), Side::device()),
            Barrier::DeviceToHost => (Side::device(), Side::host()),
        };
        // Reads need no availability: for a write after a read the order of execution is enough.
        Masks { src_stage: src.stage, dst_stage: dst.stage, src_access: src.writes, dst_access: dst.accesses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_barrier_covers_every_hazard() {
        let check = |barrier: Barrier, writes: vk::AccessFlags, reads: vk::AccessFlags| {
            let masks = barrier.masks();
            assert_eq!(masks.src_access, writes, "{barrier:?}");
            assert!(masks.dst_access.contains(reads), "{barrier:?}");
        };
        use vk::AccessFlags as A;
        let shader = A::SHADER_READ | A::SHADER_WRITE | A::UNIFORM_READ;
        let transfer = A::TRANSFER_READ | A::TRANSFER_WRITE;
        check(Barrier::ComputeToCompute, A::SHADER_WRITE, shader);
        check(Barrier::ComputeToTransfer, A::SHADER_WRITE, transfer);
        check(Barrier::TransferToCompute, A::TRANSFER_WRITE, shader);
        check(Barrier::TransferToTransfer, A::TRANSFER_WRITE, transfer);
        check(Barrier::DeviceToDevice, A::SHADER_WRITE | A::TRANSFER_WRITE, shader | transfer);
        check(Barrier::HostToDevice, A::HOST_WRITE, shader | transfer);
        check(Barrier::DeviceToHost, A::SHADER_WRITE | A::TRANSFER_WRITE, A::HOST_READ);
    }
}

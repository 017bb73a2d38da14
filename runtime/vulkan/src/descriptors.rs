//! Descriptor sets for recorded dispatches.

use std::collections::HashMap;

use ash::vk;

use crate::commands::BoundWindow;
use crate::error::Error;
use crate::pipeline::BindingKind;
use crate::recorder::{Op, Recording};

/// A pool of descriptor sets, kept from one recording to the next.
#[derive(Default)]
pub(crate) struct SetPool {
    pub(crate) raw: vk::DescriptorPool,
    room: Room,
}

/// What a pool has room for, and what a recording needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Room {
    sets: u32,
    /// Descriptors by kind, in the order of [`KINDS`].
    descriptors: [u32; 2],
}

const KINDS: [BindingKind; 2] = [BindingKind::Storage, BindingKind::Uniform];

impl Room {
    fn holds(self, needed: Room) -> bool {
        self.sets >= needed.sets && self.descriptors.iter().zip(needed.descriptors).all(|(own, n)| *own >= n)
    }
}

/// The sets of a recording.
pub(crate) struct Sets {
    /// The set of each dispatch, in order; null where its pipeline binds nothing.
    pub(crate) of_dispatch: Vec<vk::DescriptorSet>,
}

/// What makes two dispatches share a set: pipeline, and windows by buffer, offset and length.
type Key = (usize, Vec<(u64, u64, u64)>);

/// The distinct sets of a recording.
#[derive(Default)]
struct Needs {
    /// The set of each dispatch by its place in `sets`; `None` where nothing is bound.
    of_dispatch: Vec<Option<usize>>,
    /// Pipeline and windows of each set.
    sets: Vec<(usize, std::ops::Range<usize>)>,
}

fn needs(recording: &Recording) -> Needs {
    let mut needs = Needs::default();
    let mut places: HashMap<Key, usize> = HashMap::new();
    for op in &recording.ops {
        let Op::Dispatch { pipeline, windows, .. } = op else { continue };
        let bound = &recording.windows[windows.clone()];
        let place = (!bound.is_empty()).then(|| {
            let key = (*pipeline, bound.iter().map(|w| (w.buffer.0, w.offset, w.len)).collect());
            *places.entry(key).or_insert_with(|| {
                needs.sets.push((*pipeline, windows.clone()));
                needs.sets.len() - 1
            })
        });
        needs.of_dispatch.push(place);
    }
    needs
}

impl Sets {
    /// Writes every set. The pool is made, emptied, or made anew where it is too small; no set of it is in use.
    pub(crate) fn write(recording: &Recording, pool: &mut SetPool) -> Result<Sets, Error> {
        let needs = needs(recording);
        if needs.sets.is_empty() {
            return Ok(Sets { of_dispatch: vec![vk::DescriptorSet::null(); needs.of_dispatch.len()] });
        }
        pool.prepare(recording, room(recording, &needs)?)?;
        let layouts: Vec<_> =
            needs.sets.iter().map(|&(p, _)| recording.pipelines.list()[p].set_layout).collect();
        let info = vk::DescriptorSetAllocateInfo::default().descriptor_pool(pool.raw).set_layouts(&layouts);
        let raw = &recording.device.raw;
        // SAFETY: the pool is empty, has room for these sets and belongs to this thread alone
        // (VUID-VkDescriptorSetAllocateInfo-apiVersion-07895, -descriptorPool-parameter).
        let sets = unsafe { raw.allocate_descriptor_sets(&info) }
            .map_err(|e| Error::call("vkAllocateDescriptorSets", e))?;
        for (&set, (pipeline, windows)) in sets.iter().zip(&needs.sets) {
            let kinds = &recording.pipelines.list()[*pipeline].bindings;
            write(recording, set, kinds, &recording.windows[windows.clone()]);
        }
        let of_dispatch = needs
            .of_dispatch
            .iter()
            .map(|place| place.map_or(vk::DescriptorSet::null(), |place| sets[place]))
            .collect();
        Ok(Sets { of_dispatch })
    }
}

impl SetPool {
    /// Makes it an empty pool with room for `needed`.
    fn prepare(&mut self, recording: &Recording, needed: Room) -> Result<(), Error> {
        let raw = &recording.device.raw;
        if self.room.holds(needed) {
            // SAFETY: no submission uses a set of the pool (VUID-vkResetDescriptorPool-descriptorPool-00313).
            return unsafe { raw.reset_descriptor_pool(self.raw, vk::DescriptorPoolResetFlags::empty()) }
                .map_err(|e| Error::call("vkResetDescriptorPool", e));
        }
        // SAFETY: as above; null handles are ignored (VUID-vkDestroyDescriptorPool-descriptorPool-00303).
        unsafe { raw.destroy_descriptor_pool(self.raw, None) };
        *self = SetPool::default();
        let sizes: Vec<_> = KINDS
            .into_iter()
            .zip(needed.descriptors)
            .filter(|&(_, count)| count > 0)
            .map(|(kind, count)| {
                vk::DescriptorPoolSize::default().ty(kind.descriptor_type()).descriptor_count(count)
            })
            .collect();
        let info = vk::DescriptorPoolCreateInfo::default().max_sets(needed.sets).pool_sizes(&sizes);
        // SAFETY: sets and descriptors are more than 0
        // (VUID-VkDescriptorPoolCreateInfo-descriptorPoolOverallocation-09227).
        self.raw = unsafe { raw.create_descriptor_pool(&info, None) }
            .map_err(|e| Error::call("vkCreateDescriptorPool", e))?;
        self.room = needed;
        Ok(())
    }
}

/// What the sets of a recording take of a pool.
fn room(recording: &Recording, needs: &Needs) -> Result<Room, Error> {
    let of_kind = |kind: BindingKind| -> usize {
        let kinds = |p: usize| &recording.pipelines.list()[p].bindings;
        needs.sets.iter().map(|&(p, _)| kinds(p).iter().filter(|&&own| own == kind).count()).sum()
    };
    let [storage, uniform] = KINDS.map(of_kind);
    match [needs.sets.len(), storage, uniform].map(u32::try_from) {
        [Ok(sets), Ok(storage), Ok(uniform)] => Ok(Room { sets, descriptors: [storage, uniform] }),
        _ => Err(Error::ExceedsLimit {
            name: recording.name.clone(),
            limit: "descriptors of one pool",
            value: recording.windows.len() as u64,
            max: u32::MAX.into(),
        }),
    }
}

/// Writes one set: what stands here is what [`Commands::windows`](crate::Commands::windows) reports.
fn write(recording: &Recording, set: vk::DescriptorSet, kinds: &[BindingKind], windows: &[BoundWindow]) {
    let infos: Vec<_> = windows
        .iter()
        .map(|w| {
            let raw = recording.buffers.of(w.buffer.0).map_or(vk::Buffer::null(), |b| b.raw);
            [vk::DescriptorBufferInfo::default().buffer(raw).offset(w.offset).range(w.len)]
        })
        .collect();
    let writes: Vec<_> = windows
        .iter()
        .zip(kinds)
        .zip(&infos)
        .map(|((window, kind), info)| {
            vk::WriteDescriptorSet::default()
                .dst_set(set)
                .dst_binding(window.binding)
                .descriptor_type(kind.descriptor_type())
                .buffer_info(info)
        })
        .collect();
    // SAFETY: the set is new and in no use; buffers are alive and every window was checked when it was described
    // (VUID-VkDescriptorBufferInfo-offset-00340, -range-00342, VUID-VkWriteDescriptorSet-descriptorType-00328, -00333).
    unsafe { recording.device.raw.update_descriptor_sets(&writes, &[]) };
}

//! What depends on the condition alone: b_l + V_l c for every layer, computed once a frame.
//!
//! The work of a frame is cut into units, one per product: the layers of the frame-rate network, then the bias of every
//! gate. A frame that was announced is computed a few units a step into a second set of biases, so that no step is
//! slow; one that was not is computed at once, by the same units.

use super::ConditionConfig;
use super::adaptation::Changes;
use crate::adaptation::{Adaptation, MAX_RANK};
use crate::condition::Condition;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Panels, Then, product};
use crate::kernels::{Kernel, Simd, math};
use std::sync::Arc;

/// The weights of the frame rate.
pub(super) struct FrameNet {
    pub condition: Option<ConditionConfig>,
    /// A and B with their biases, of each of [`ConditionConfig::networks`].
    pub networks: Vec<[Affine; 2]>,
    /// V_l and b_l: as wide as the gate and in its order. V_l is `None` without a condition.
    pub gates: Vec<(Option<Panels>, Aligned)>,
}

/// The biases of one stream.
#[derive(Clone)]
pub(super) struct Biases {
    held: Side,
    next: Side,
    /// f as it was given last.
    given: Vec<f32>,
    /// What the layers of each frame-rate network give, as wide as their biases.
    hidden: Vec<[Aligned; 2]>,
    /// Units of `next` that are done; `None` when no frame was announced.
    done: Option<usize>,
    /// What adapts this stream.
    changes: Option<Arc<Changes>>,
    /// Whether `held` was computed otherwise than `changes` says.
    is_stale: bool,
    /// What the first factor of a change gives.
    low: Aligned,
}

#[derive(Clone)]
struct Side {
    frame: Vec<f32>,
    /// b_l + V_l c, one per layer, packed order.
    bias: Vec<Aligned>,
}

impl Biases {
    /// The bias of layer `l` under the frame being held.
    #[inline(always)]
    pub fn layer(&self, l: usize) -> &[f32] {
        &self.held.bias[l]
    }

    /// Floats in all buffers.
    pub fn floats(&self) -> usize {
        let sum = |v: &[Aligned]| v.iter().map(|a| a.len()).sum::<usize>();
        let side = |s: &Side| s.frame.len() + sum(&s.bias);
        side(&self.held)
            + side(&self.next)
            + self.given.len()
            + self.low.len()
            + self.hidden.iter().map(|h| sum(h)).sum::<usize>()
    }
}

impl FrameNet {
    /// Biases under a frame of zeros, which are not computed yet: see [`SetFrame::Zeros`].
    pub fn biases(&self) -> Biases {
        let side = Side {
            frame: vec![0.0; self.condition.as_ref().map_or(0, ConditionConfig::len)],
            bias: self.gates.iter().map(|(_, b)| b.clone()).collect(),
        };
        Biases {
            given: side.frame.clone(),
            held: side.clone(),
            next: side,
            hidden: self.networks.iter().map(|net| net.each_ref().map(|layer| layer.bias.clone())).collect(),
            done: None,
            changes: None,
            is_stale: false,
            low: Aligned::zeros(MAX_RANK),
        }
    }

    /// See [`crate::ar::Model::adapt`].
    pub fn adapt(&self, biases: &mut Biases, adaptation: Option<&Adaptation>) {
        biases.changes = adaptation.and_then(Adaptation::get);
        biases.is_stale = true;
        biases.done = None;
    }

    fn units(&self) -> usize {
        self.depth() + self.gates.len()
    }

    /// Layers of a frame-rate network.
    fn depth(&self) -> usize {
        self.networks.first().map_or(0, |net| net.len())
    }

    /// Notes that `condition` will be the next. Whether it differs from the one that is held.
    pub fn announce(&self, biases: &mut Biases, condition: &Condition) -> bool {
        let Some(config) = &self.condition else { return false };
        let Biases { held, next, given, done, is_stale, .. } = biases;
        config.write(condition, given);
        if *given == held.frame && !*is_stale {
            return false;
        }
        if done.is_none() || *given != next.frame {
            next.frame.copy_from_slice(given);
            *done = Some(0);
        }
        true
    }

    /// One step's share of the frame that was announced: all is done within a hop.
    #[inline(always)]
    pub fn advance<S: Simd>(&self, s: S, biases: &mut Biases) {
        let (Some(done), Some(condition)) = (biases.done, &self.condition) else { return };
        let upto = (done + self.units().div_ceil(condition.hop)).min(self.units());
        for unit in done..upto {
            self.unit(s, biases, unit);
        }
        biases.done = Some(upto);
    }

    /// Product number `unit` of the next frame.
    #[inline(always)]
    fn unit<S: Simd>(&self, s: S, biases: &mut Biases, unit: usize) {
        let Biases { next, hidden, changes, low, .. } = biases;
        let reads = self.condition.as_ref().map_or(0, |c| c.network(&next.frame));
        let layers = self.networks.get(reads).map_or(&[][..], |net| net);
        let change = changes.as_deref().and_then(|c| c.of(unit, layers.len(), reads == 0));
        let hidden = hidden.get_mut(reads).map_or(&mut [][..], |h| h);
        if let Some(layer) = layers.get(unit) {
            let (before, here) = hidden.split_at_mut(unit);
            let out = &mut here[0];
            let x = before.last().map_or(&next.frame[..], |h| &h[..layer.weight.inputs()]);
            match change {
                None => product(s, &layer.weight, x, &layer.bias, out, Then::Store),
                Some(change) => change.product(s, &layer.weight, x, low, out),
            }
            for v in out.chunks_exact_mut(S::LANES) {
                s.store(v, math::tanh(s, s.load(v)));
            }
            return;
        }
        let l = unit - layers.len();
        if let (Some(cond), bias) = &self.gates[l] {
            let c = hidden.last().map_or(&next.frame[..], |h| &h[..cond.inputs()]);
            let out = &mut next.bias[l];
            match change {
                None => product(s, cond, c, bias, out, Then::Store),
                Some(change) => change.product(s, cond, c, low, out),
            }
        }
    }
}

/// Makes a frame the one that is held.
pub(super) enum SetFrame<'a> {
    Given(&'a FrameNet, &'a mut Biases, &'a Condition<'a>),
    /// As in a fresh stream.
    Zeros(&'a FrameNet, &'a mut Biases),
}

impl Kernel for SetFrame<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (net, biases) = match self {
            Self::Given(net, biases, condition) => {
                if !net.announce(biases, condition) {
                    return;
                }
                (net, biases)
            }
            Self::Zeros(net, biases) => {
                biases.next.frame.fill(0.0);
                biases.done = Some(0);
                (net, biases)
            }
        };
        for unit in biases.done.unwrap_or(0)..net.units() {
            net.unit(s, biases, unit);
        }
        std::mem::swap(&mut biases.held, &mut biases.next);
        biases.done = None;
        biases.is_stale = false;
    }
}

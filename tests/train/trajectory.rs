//! The fused layers and the plain graph, step after step: one loss, one gradient and so one way down.

use wavesynth::train::config::{Engine, Train};
use wavesynth::train::device::Device;
use wavesynth::train::objective;
use wavesynth::train::optim::{AdamW, Moments, clip};
use wavesynth_models::ar::Uniforms;
use wavesynth_models::condition::{FrameTable, TrackSource};
use wavesynth_models::families::wavenet::{ConditionConfig, Config};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::objective::Window;

const STEPS: u64 = 40;

fn config() -> Config {
    Config {
        classes: 32,
        start: 16,
        residual_channels: 12,
        gate_channels: 10,
        skip_channels: 16,
        head_channels: 20,
        kernel_size: 2,
        dilations: vec![1, 2, 4, 8, 1, 2],
        bunch: 1,
        condition: Some(ConditionConfig {
            speakers: 2,
            speaker_dim: 3,
            features: 2,
            context: 1,
            hidden: 6,
            others: 0,
            hop: 16,
        }),
        likelihood: None,
    }
}

/// Two windows of a noisy wave that the past foretells, one for each speaker.
fn batch(config: &Config, step: u64) -> Vec<Window> {
    let mut uniforms = Uniforms::keyed(5, step);
    let c = config.condition.as_ref().unwrap();
    (0..2)
        .map(|speaker| {
            let phase = uniforms.next_uniform();
            let wave = |t: usize| (t as f32 * (0.2 + 0.2 * speaker as f32) + 6.0 * phase).sin();
            let symbols: Vec<u16> = (0..161)
                .map(|t| (16.0 + 12.0 * wave(t) + uniforms.normal()).clamp(0.0, 31.0) as u16)
                .collect();
            Window {
                inputs: symbols[..160].to_vec(),
                targets: symbols[1..].to_vec(),
                warmup: config.receptive_field() - 1,
                frames: FrameTable {
                    rows: (0..10 * c.spec().window_len()).map(|_| uniforms.normal()).collect(),
                    sources: vec![Some(TrackSource::Own); 10],
                },
                speaker: Some(speaker),
                ..Window::default()
            }
        })
        .collect()
}

fn losses(engine: Engine) -> Vec<f64> {
    let config = config();
    let objective =
        objective(&FamilyConfig::from(config.clone()), engine, Device::Cpu, 0.0, &|_| true).unwrap();
    let layout = objective.layout();
    let adam = AdamW::new(&Train::default(), layout);
    let mut params = layout.init(3);
    let mut grads = vec![0.0; params.len()];
    let mut moments = Moments::new(params.len());
    (0..STEPS)
        .map(|step| {
            let loss = objective.loss(&params, &batch(&config, step), Some(&mut grads)).unwrap();
            clip(&mut grads, 1.0);
            adam.update(&mut params, &grads, &mut moments, step, 5e-3);
            loss
        })
        .collect()
}

#[test]
fn the_fused_layers_go_the_way_of_the_plain_graph() {
    let (fused, graph) = (losses(Engine::Fused), losses(Engine::Graph));
    for (step, (f, g)) in fused.iter().zip(&graph).enumerate() {
        assert!((f - g).abs() < 2e-3, "step {step}: {f}, graph {g}");
    }
    assert!(fused[STEPS as usize - 1] < fused[0] - 0.5, "{fused:?}");
}

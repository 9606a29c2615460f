//! Reward models are only read: what they were at the start of a run they are at its end, on disk and in memory.
use super::Rewards;
use crate::TrainError;
use crate::event::{Event, Sink};
use crate::scorer::RewardModel;
use run::lineage::Hashed;
use std::path::PathBuf;

/// What the reward models of a run were.
pub(super) struct Witness {
    folders: Vec<Hashed>,
    /// Path, and hash of the weights as they are held.
    weights: Vec<(PathBuf, String)>,
}

impl Rewards {
    /// Every reward model that is asked, for rewards or for gold.
    pub(super) fn models(&self) -> Vec<&RewardModel> {
        let scorers = self.reward.iter().chain(&self.gold);
        scorers.flat_map(|scorer| scorer.models()).collect()
    }
}

impl Witness {
    /// Hashes folders and weights.
    pub fn of(rewards: &Rewards) -> Result<Witness, TrainError> {
        let folders = rewards.folders.iter().map(|folder| Hashed::of(folder)).collect::<Result<_, _>>()?;
        let hash = |model: &RewardModel| (model.path().to_path_buf(), model.model().fingerprint());
        Ok(Witness { folders, weights: rewards.models().into_iter().map(hash).collect() })
    }

    /// Compares; a difference is an error that names the model.
    pub fn check(self, rewards: &Rewards, sink: &mut dyn Sink) -> Result<(), TrainError> {
        let now = Witness::of(rewards)?;
        for (before, after) in self.folders.into_iter().zip(now.folders) {
            let path = before.path;
            if before.hash != after.hash {
                return Err(TrainError::RewardChanged {
                    path,
                    place: "on disk",
                    before: before.hash,
                    after: after.hash,
                });
            }
            sink.event(&Event::Notice(format!("reward model {} unchanged: {}", path.display(), after.hash)));
        }
        for ((path, before), (_, after)) in self.weights.into_iter().zip(now.weights) {
            if before != after {
                return Err(TrainError::RewardChanged { path, place: "in memory", before, after });
            }
        }
        Ok(())
    }
}

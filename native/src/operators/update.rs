//! The arithmetic of updates, on parts of tensors. Operations and their order are those of the stock graph's nodes
//! (onnx/update.ts), so that both give the same bits: nothing here may be rearranged or fused.

/// Numbers of an Adam update, those that are the same for all elements.
pub struct Adam {
    /// 1 - beta1
    pub first_share: f32,
    /// beta2
    pub second_kept: f32,
    /// 1 - beta2
    pub second_share: f32,
    pub epsilon: f32,
    /// The learning rate over the first moment's correction.
    pub rate: f32,
    /// Root of the second moment's correction.
    pub second_root: f32,
    /// What weight decay leaves of the parameter.
    pub kept: f32,
    pub clip: f32,
}

impl Adam {
    pub fn update(&self, parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        for (((parameter, gradient), first), second) in parameter.iter_mut().zip(gradient).zip(first).zip(second) {
            let gradient = gradient * self.clip;
            *first += (gradient - *first) * self.first_share;
            *second = *second * self.second_kept + (gradient * gradient) * self.second_share;
            let denominator = second.sqrt() / self.second_root + self.epsilon;
            *parameter = *parameter * self.kept - (*first / denominator) * self.rate;
        }
    }
}

/// Numbers of a step of gradient descent.
pub struct Sgd {
    pub rate: f32,
    /// 0 for none.
    pub decay: f32,
    pub momentum: f32,
    pub nesterov: bool,
    pub clip: f32,
}

impl Sgd {
    fn slope(&self, parameter: f32, gradient: f32) -> f32 {
        let gradient = gradient * self.clip;
        if self.decay > 0.0 { gradient + parameter * self.decay } else { gradient }
    }

    pub fn update(&self, parameter: &mut [f32], gradient: &[f32]) {
        for (parameter, &gradient) in parameter.iter_mut().zip(gradient) {
            *parameter -= self.slope(*parameter, gradient) * self.rate;
        }
    }

    pub fn update_with_momentum(&self, parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
        for ((parameter, &gradient), velocity) in parameter.iter_mut().zip(gradient).zip(velocity) {
            let slope = self.slope(*parameter, gradient);
            *velocity = *velocity * self.momentum + slope;
            let direction = if self.nesterov { slope + *velocity * self.momentum } else { *velocity };
            *parameter -= direction * self.rate;
        }
    }
}

/// Moves averages by a share of the way to the parameters.
pub fn average(average: &mut [f32], parameter: &[f32], share: f32) {
    for (average, parameter) in average.iter_mut().zip(parameter) {
        *average += (parameter - *average) * share;
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Of numbers that are exact.
mod tests {
    use super::{Adam, Sgd, average};

    const ADAM: Adam = Adam {
        first_share: 0.25,
        second_kept: 0.5,
        second_share: 0.5,
        epsilon: 0.5,
        rate: 0.5,
        second_root: 2.0,
        kept: 0.75,
        clip: 0.5,
    };

    #[test]
    fn adam_moves_parameter_and_moments() {
        // Of numbers that are exact: g = 4, m = 2 + (4 - 2) / 4, v = (56 + 16) / 2, d = 6 / 2 + 0.5.
        let (mut parameter, mut first, mut second) = ([7.0], [2.0], [56.0]);
        ADAM.update(&mut parameter, &[8.0], &mut first, &mut second);
        assert_eq!((first, second), ([2.5], [36.0]));
        assert_eq!(parameter, [7.0 * 0.75 - 2.5 / 3.5 * 0.5]);
    }

    #[test]
    fn sgd_steps_by_the_clipped_and_decayed_slope() {
        let sgd = Sgd { rate: 0.5, decay: 0.25, momentum: 0.0, nesterov: false, clip: 0.5 };
        let mut parameter = [8.0];
        sgd.update(&mut parameter, &[4.0]);
        assert_eq!(parameter, [8.0 - (4.0 * 0.5 + 8.0 * 0.25) * 0.5]);
    }

    #[test]
    fn momentum_looks_ahead_when_nesterov_asks_for_it() {
        for (nesterov, direction) in [(false, 7.0), (true, 6.0 + 7.0 * 0.5)] {
            let sgd = Sgd { rate: 0.5, decay: 0.0, momentum: 0.5, nesterov, clip: 1.0 };
            let (mut parameter, mut velocity) = ([1.0], [2.0]);
            sgd.update_with_momentum(&mut parameter, &[6.0], &mut velocity);
            assert_eq!((parameter, velocity), ([1.0 - direction * 0.5], [7.0]));
        }
    }

    #[test]
    fn averages_go_a_share_of_the_way() {
        let mut averages = [1.0, 2.0];
        average(&mut averages, &[5.0, 2.0], 0.25);
        assert_eq!(averages, [2.0, 2.0]);
    }

    #[test]
    fn every_element_is_moved_whatever_the_length() {
        for length in [0, 1, 3, 4, 17, 64, 1000] {
            let (mut parameter, mut first, mut second) = (vec![7.0; length], vec![2.0; length], vec![56.0; length]);
            ADAM.update(&mut parameter, &vec![8.0; length], &mut first, &mut second);
            assert_eq!(parameter, vec![7.0_f32 * 0.75 - 2.5 / 3.5 * 0.5; length]);
        }
    }
}

export {
  type Schedule,
  type ScheduleOptions,
  type ScheduleShape,
  schedule,
} from './learning-rate.ts';
export { advance, NO_PROGRESS, type Progress, type ProgressRule, type ProgressStep } from './progress.ts';
export {
  RATE_FINDER_DEFAULTS,
  RateFinder,
  type RateFinderOptions,
  type RatePoint,
  type RateSuggestion,
  suggestRate,
} from './rate-finder.ts';
export { plotRates } from './rate-plot.ts';
export { type AverageOptions, averageDecay } from './weight-average.ts';

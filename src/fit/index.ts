export { FIT_DEFAULTS, type FitOptions, type FitResult, fit } from './fit.ts';

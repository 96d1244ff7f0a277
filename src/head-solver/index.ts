export { type HeadFit, type HeadProblem, type HeadSolution, type SolveOptions, solveHead } from './solve.ts';

import { type Model, type Optimizer, type TrainingPlan, withInitializers } from '../../onnx/index.ts';
import type { BatchSource } from './batch-source.ts';
import { type PassesResult, type PassOptions, testAndTell } from './passes.ts';
import { openTraining, type SessionDevice } from './session.ts';

interface FinalTest {
  readonly model: Model;
  readonly evaluated: Model;
  readonly plan: TrainingPlan<Optimizer>;
  readonly device: SessionDevice;
  readonly source: BatchSource;
  readonly options: Pick<PassOptions, 'test' | 'watch' | 'testMean' | 'classes' | 'emit' | 'signal'>;
}

/**
 * A result with its figures on the test part, where the passes have not given them: they were not tested, or on another
 * part. By a session of its own, so that the training's goes on to hold what was trained last.
 */
export async function withFinalTest(
  result: PassesResult,
  { model, evaluated, plan, device, source, options }: FinalTest,
): Promise<PassesResult> {
  if (options.test === false || (options.test === true && options.watch === 'test')) return result;
  const { values, kept } = result;
  const [trained, tested] = [withInitializers(model, values), withInitializers(evaluated, values)];
  await using session = await openTraining(trained, plan, device, { evaluated: tested });
  return { ...result, evaluation: await testAndTell(session, source, kept, 'test', options) };
}

/**
 * One call from a folder of pictures to a model: `fit.ts photos [resnet50-0676ba61.pth] [PASSES]`. Without a file of weights,
 * torchvision's are fetched once; `none` trains from noise.
 */
import { fit } from 'ortune';

const [data = 'photos', weights, passes] = process.argv.slice(2);

const run = fit({
  data,
  ...(weights !== undefined && { weights }),
  ...(passes !== undefined && { passes: Number(passes) }),
  out: 'models',
});
for await (const event of run) {
  if (event.type === 'phase') console.log(event.text);
  if (event.type === 'test') console.log(`pass ${event.pass}: ${(event.accuracy * 100).toFixed(1)} % right`);
}
const { history } = await run;
console.log(`models/infer_model/model.onnx, after ${history.length} passes`);

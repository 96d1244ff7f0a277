import { floatsOf, type Model } from './model.ts';
import { buildResNet, networkOf } from './resnet.ts';

/**
 * The same network for pictures of another size: its parameters do not depend on it, only the shapes between its layers.
 *
 * @param imageSize side of the square input, a multiple of 32
 * @throws OrtuneError `GRAPH_OPTION` for a size that no network takes; Error when the model is not one of `buildResNet`
 */
export function atImageSize(model: Model, imageSize: number): Model {
  const network = networkOf(model);
  if (!network) throw new Error('only a network built by buildResNet can be built again at another size');
  if (network.imageSize === imageSize) return model;
  const built = buildResNet({ ...network, imageSize }, (name) => {
    const initializer = model.graph.initializers.get(name);
    if (!initializer) throw new Error(`the network has no parameter '${name}'`);
    return floatsOf(initializer);
  });
  return { ...built, metadata: new Map([...model.metadata, ...built.metadata]) };
}

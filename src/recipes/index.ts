export { checkSettings } from './check-settings.ts';
export { loadRecipe, RECIPES } from './load.ts';
export { checkRecipe, readRecipe } from './read.ts';
export type { FinetuneRecipe, PretrainRecipe, Recipe } from './schema.ts';

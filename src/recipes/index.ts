export { loadRecipe, RECIPES } from './load.ts';
export { checkRecipe, readRecipe } from './read.ts';
export { type FinetuneRecipe, type PretrainRecipe, type Recipe, recipeSchema } from './schema.ts';

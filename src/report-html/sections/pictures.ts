import { count, percent } from '../format.ts';
import { html, name } from '../html.ts';
import type { Metrics } from '../read-result.ts';
import { firstOf, type Section, section } from './section.ts';

/** @param thumbnails data URIs in the order of `topLosses`, where there are any */
export function pictures({ topLosses }: Metrics, thumbnails: readonly (string | undefined)[]): Section {
  const missing = thumbnails.filter((thumbnail) => thumbnail === undefined).length;
  return section(
    'pictures',
    'Where it was furthest off',
    'The pictures whose own class got the least probability. Hard ones are among them, and wrong labels.',
    [
      missing > 0 &&
        html`<p class="note" id="missing">${missing === topLosses.length ? 'The pictures were' : `${count(missing, 'picture')} ${missing === 1 ? 'was' : 'were'}`} not where they had been when this report was made, and cannot be shown.</p>`,
      firstOf(
        topLosses.map(({ picture, label, predicted, probability, confidence }, index) => {
          const thumbnail = thumbnails[index];
          const file = String(picture);
          return html`<li><figure>${
            thumbnail
              ? html`<img src="${thumbnail}" width="240" height="240" alt="" decoding="async">`
              : missing < topLosses.length && html`<div class="absent" aria-hidden="true"></div>`
          }<figcaption><p class="is">${name(label)} <span class="share">${percent(probability)}</span></p>${
            label === predicted
              ? html`<p class="said">right, but not sure</p>`
              : html`<p class="said wrong"><span>taken for ${name(predicted)}</span> <span class="share">${percent(confidence)}</span></p>`
          }<p class="file" title="${file}"><bdi>${file}</bdi></p></figcaption></figure></li>
`;
        }),
        10,
        (items) => html`<ul class="losses">${items}</ul>`,
      ),
    ],
  );
}

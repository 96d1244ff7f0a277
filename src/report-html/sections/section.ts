import { type Content, type Html, html } from '../html.ts';

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly content: Html;
}

/** A part of the page: what it is and a sentence on how to read it on the left, the thing itself on the right. */
export function section(id: string, title: string, lead: Content, body: Content): Section {
  const content = html`<section id="${id}" aria-labelledby="${id}-title">
<div class="lead"><h2 id="${id}-title">${title}</h2><p>${lead}</p></div>
<div class="body">${body}</div>
</section>
`;
  return { id, title, content };
}

/** What goes below a line that opens it. */
export const details = (summary: Content, body: Content): Html =>
  html`<details><summary>${summary}</summary>${body}</details>`;

/** The first of a list, and the others below a line that opens them. */
export function firstOf(items: readonly Html[], shown: number, list: (items: readonly Html[]) => Html): Html {
  const rest = items.slice(shown);
  return html`${list(items.slice(0, shown))}${rest.length > 0 && details(`${rest.length} more`, list(rest))}`;
}

/** A share as a bar, for the eye; the number stands beside it. */
export const meter = (share: number | null): Html =>
  html`<svg class="meter" aria-hidden="true"><rect class="whole" width="100%" height="100%"/><rect width="${((share ?? 0) * 100).toFixed(1)}%" height="100%"/></svg>`;

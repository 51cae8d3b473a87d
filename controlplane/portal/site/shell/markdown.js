// HTML that the server made of Markdown, element by element: what is not listed here is left away, whatever it is.
import { h } from './dom.js';

const ELEMENTS = new Set(['P', 'BR', 'HR', 'EM', 'STRONG', 'DEL', 'CODE', 'PRE', 'BLOCKQUOTE', 'UL', 'OL', 'LI', 'TABLE', 'THEAD', 'TBODY', 'TR', 'TH', 'TD']);
const DEPTH_MAX = 60;

// Headings go below the page's own: "# A" in the text is a part of a part of the page.
const heading = (name) => /^H([1-6])$/.exec(name) && `h${Math.min(6, Number(name[1]) + 2)}`;

function link(node, depth) {
  return h('a', { href: node.getAttribute('href') ?? '#', rel: 'noopener noreferrer nofollow' }, copies(node, depth));
}

// Pictures come from other hosts, which the page does not ask: a link says what they are.
function picture(node) {
  return h('a', { href: node.getAttribute('src') ?? '#', rel: 'noopener noreferrer nofollow' }, node.getAttribute('alt') || 'picture');
}

function copy(node, depth) {
  if (node.nodeType === Node.TEXT_NODE) return node.nodeValue;
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  if (depth > DEPTH_MAX) return node.textContent;
  const title = heading(node.tagName);
  if (title) return h(title, {}, copies(node, depth));
  if (node.tagName === 'A') return link(node, depth);
  if (node.tagName === 'IMG') return picture(node);
  if (!ELEMENTS.has(node.tagName)) return null;
  const element = h(node.tagName.toLowerCase(), node.tagName === 'PRE' ? { tabindex: '0' } : {}, copies(node, depth));
  return node.tagName === 'TABLE' ? h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table' }, element) : element;
}

const copies = (node, depth) => [...node.childNodes].map((child) => copy(child, depth + 1));

// `text` is what is shown when there is no HTML of it.
export function markdown(html, text) {
  if (typeof html !== 'string') return text ? h('pre', { class: 'wrap', tabindex: '0' }, text) : null;
  const parsed = new DOMParser().parseFromString(html, 'text/html'); // runs nothing and loads nothing
  return h('div', { class: 'prose' }, copies(parsed.body, 0));
}

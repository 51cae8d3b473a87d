// node validate.mjs FILE...: holds OpenAPI and AsyncAPI documents against public validators. Prints what they say and
// fails on an error or a warning.
import { readFile } from 'node:fs/promises';

import asyncapi from '@asyncapi/parser';
import spectral from '@stoplight/spectral-core';
import rulesets from '@stoplight/spectral-rulesets';

// About the taste of authors, not about whether a client can use the document.
const TASTE = ['info-contact', 'asyncapi-info-contact', 'asyncapi-info-license', 'asyncapi-id', 'asyncapi-tags',
  'asyncapi-info-description', 'asyncapi-3-tags', 'info-description', 'asyncapi-info-contact-properties'];
// Says that a newer version of the language exists.
const AGE = ['asyncapi-latest-version'];

async function lintOpenapi(text) {
  const linter = new spectral.Spectral();
  linter.setRuleset({ extends: [[rulesets.oas, 'recommended']], rules: {} });
  return linter.run(text);
}

async function lintAsyncapi(text) {
  const { document, diagnostics } = await new asyncapi.Parser().parse(text);
  if (!document && diagnostics.length === 0) {
    return [{ severity: 0, code: 'unparsed', message: 'the parser gives no document', path: [] }];
  }
  return diagnostics;
}

async function lint(file) {
  const text = await readFile(file, 'utf8');
  const document = JSON.parse(text);
  const found = document.openapi ? await lintOpenapi(text) : await lintAsyncapi(text);
  // 0 is an error, 1 a warning.
  const serious = found.filter((item) => item.severity <= 1 && !TASTE.includes(item.code) && !AGE.includes(item.code));
  for (const item of serious) {
    console.log(`${file}: ${item.code}: ${item.message} at /${item.path.join('/')}`);
  }
  return serious.length;
}

let failures = 0;
for (const file of process.argv.slice(2)) {
  failures += await lint(file);
}
process.exit(failures === 0 ? 0 : 1);

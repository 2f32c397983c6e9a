// node validate.mjs FILE...: prints, as one JSON object, what is wrong with each AsyncAPI document, a line each.
import { readFile } from 'node:fs/promises';
import { argv, stdout } from 'node:process';
import { AvroSchemaParser } from '@asyncapi/avro-schema-parser';
import { Parser } from '@asyncapi/parser';

const ERROR_OR_WARNING = 1;
const avro = AvroSchemaParser();
const parser = new Parser();
parser.registerSchemaParser(avro);

async function problems(text) {
  const { diagnostics } = await parser.parse(text);
  const found = diagnostics
    .filter(({ severity }) => severity <= ERROR_OR_WARNING)
    .map(({ path, message }) => `${path.join('/')}: ${message}`);
  // For AsyncAPI 3 the parser converts Avro schemas, but does not have its plug-in validate them.
  for (const [name, { payload }] of Object.entries(JSON.parse(text).components?.messages ?? {})) {
    if (!avro.getMimeTypes().includes(payload?.schemaFormat)) continue;
    const path = ['components', 'messages', name, 'payload', 'schema'];
    for (const { message } of await avro.validate({ data: payload.schema, path })) found.push(`${path.join('/')}: ${message}`);
  }
  return found;
}

const found = {};
for (const file of argv.slice(2)) found[file] = await problems(await readFile(file, 'utf8'));
stdout.write(JSON.stringify(found));

// node-redis: commands, transactions, scripts, messages, binary values, scans; prints a line for each check.
'use strict';
const { createClient, commandOptions, WatchError, defineScript } = require('redis');

const port = Number(process.argv[2]);
let failed = 0;

function check(name, condition, detail) {
  if (!condition) failed += 1;
  console.log(condition ? `ok ${name}` : `FAIL ${name}: ${JSON.stringify(detail)}`);
}

const equal = (name, seen, expected) => check(name, JSON.stringify(seen) === JSON.stringify(expected), seen);

const take = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `local n = tonumber(redis.call('GET', KEYS[1]) or ARGV[1])
    if n <= 0 then return -1 end
    return tonumber(redis.call('SET', KEYS[1], n - 1) and n - 1)`,
  transformArguments: (key, size) => [key, String(size)],
  transformReply: (reply) => reply,
});

async function main() {
  const client = createClient({ socket: { port }, scripts: { take } });
  client.on('error', (error) => console.log(`FAIL connection: ${error}`));
  await client.connect();
  await client.flushAll();
  equal('set with options', [await client.set('a', '1', { EX: 100, NX: true }),
    await client.set('a', '2', { NX: true }), await client.ttl('a') > 90, await client.get('a'),
    await client.getDel('a'), await client.get('a')],
    ['OK', null, true, '1', '1', null]);
  equal('counters', [await client.incrBy('n', 5), await client.decr('n'), await client.incrByFloat('n', 0.5)],
    [5, 4, '4.5']);
  const bytes = Buffer.from([0, 255, 13, 10, 128]);
  await client.set('bytes', bytes);
  check('bytes come back', bytes.equals(await client.get(commandOptions({ returnBuffers: true }), 'bytes')));
  await Promise.all(Array.from({ length: 1000 }, (_, i) => client.set(`key:${i}`, String(i))));
  const values = await client.mGet(Array.from({ length: 1000 }, (_, i) => `key:${i}`));
  check('a thousand at once', values.every((value, i) => value === String(i)));
  const keys = new Set();
  for await (const key of client.scanIterator({ MATCH: 'key:*', COUNT: 50 })) keys.add(key);
  equal('scanIterator', keys.size, 1000);
  equal('multi', await client.multi().set('m', '1').incr('m').get('m').exec(), ['OK', 2, '2']);
  const answers = await client.multi().incr('bytes').set('m', '9').exec().catch((error) => [String(error)]);
  check('an error within multi', answers.length > 0, answers);
  equal('the rest was done', await client.get('m'), '9');
  const raced = await client.executeIsolated(async (own) => {
    await own.watch('m');
    await client.set('m', 'changed');
    try {
      await own.multi().set('m', 'mine').exec();
      return 'ran';
    } catch (error) {
      return error instanceof WatchError ? 'watched' : String(error);
    }
  });
  equal('watch', [raced, await client.get('m')], ['watched', 'changed']);
  const taken = await Promise.all(Array.from({ length: 20 }, () => client.take('bucket', 5)));
  equal('a script is loaded and run', taken.filter((left) => left >= 0).length, 5);
  await client.scriptFlush();
  equal('and loaded again', await client.take('bucket', 5), -1);
  equal('eval', await client.eval('return {KEYS[1], ARGV[1], 7}', { keys: ['k'], arguments: ['v'] }), ['k', 'v', 7]);

  const listener = client.duplicate();
  await listener.connect();
  const heard = [];
  let all;
  const complete = new Promise((resolve) => { all = resolve; });
  const keep = (message, channel) => {
    heard.push(`${channel}=${message}`);
    if (heard.length === 200) all();
  };
  await listener.subscribe('news', keep);
  await listener.pSubscribe('n?ws', keep);
  for (let i = 0; i < 100; i += 1) client.publish('news', String(i));
  await complete;
  equal('messages in order', heard.filter((_, i) => i % 2 === 0), Array.from({ length: 100 }, (_, i) => `news=${i}`));
  equal('pubsub', [await client.pubSubChannels(), await client.pubSubNumPat()], [['news'], 1]);
  await listener.unsubscribe('news');
  await listener.pUnsubscribe('n?ws');
  equal('and commands again', await listener.ping(), 'PONG');
  const error = await client.incr('bytes').catch((caught) => caught.message);
  equal('an error reply', error, 'ERR value is not an integer or out of range');
  equal('info', (await client.info('server')).includes('redis_version:'), true);
  await listener.quit();
  await client.quit();
  console.log('done');
  process.exitCode = failed ? 1 : 0;
}

main().catch((error) => {
  console.log(`FAIL ${error.stack}`);
  process.exitCode = 1;
});

// node pino.mjs URL JOB COUNT: COUNT lines through pino-loki in a worker thread, then leave.
import pino from "pino";

const [url, job, count] = process.argv.slice(2);
const transport = pino.transport({
  target: "pino-loki",
  options: { host: url, labels: { job, service: "api-server" }, batching: { interval: 1 }, silenceErrors: false },
});
const logger = pino({ level: "debug" }, transport);
for (let number = 0; number < Number(count); number++) {
  const line = `pino line ${String(number).padStart(5, "0")} 실록`;
  if (number % 10 === 0) logger.error({ user: `user_${number}` }, line);
  else logger.info({ user: `user_${number}` }, line);
}
transport.end();
transport.on("close", () => process.exit());

/* Preloaded into the gateway of deploy/bench: it would listen on all interfaces, and has no option against it. */
const { Server } = require("net");
const listen = Server.prototype.listen;

Server.prototype.listen = function (port, ...rest) {
  if (typeof port !== "number") {
    return listen.call(this, port, ...rest);
  }
  return listen.call(this, { port, host: "127.0.0.1" }, ...rest.filter((one) => typeof one === "function"));
};

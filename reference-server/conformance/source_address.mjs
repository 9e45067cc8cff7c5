// Where a device is, its source address tells. The SDKs have no option for it, so that the process's
// sockets are told; the SDKs stay as they are.

import net from "node:net";

const connect = net.Socket.prototype.connect;
let localAddress;

net.Socket.prototype.connect = function (...given) {
  // Node's own modules pass [options, callback], marked, in place of arguments.
  const [options] = Array.isArray(given[0]) ? given[0] : given;
  if (localAddress && typeof options === "object") options.localAddress = localAddress;
  return connect.apply(this, given);
};

/// Does something with every connection made from an address of this machine.
export async function from(address, doing) {
  localAddress = address;
  try {
    return await doing();
  } finally {
    localAddress = undefined;
  }
}

// An OPC UA server of node-opcua: node server.js PORT CERTIFICATE.pem KEY.pem PKI_FOLDER
// Prints one line of JSON, {"ready": "opc.tcp://..."}, and runs until it is killed.
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { DataType, Variant } = require("node-opcua-variant");
const { StatusCodes } = require("node-opcua-status-code");
const { standardUnits } = require("node-opcua-data-access");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");

async function main([port, certificateFile, privateKeyFile, rootFolder]) {
  const serverCertificateManager = new OPCUACertificateManager({
    rootFolder,
    automaticallyAcceptUnknownCertificate: true,
  });
  await serverCertificateManager.initialize();
  const server = new OPCUAServer({
    port: Number(port),
    hostname: "127.0.0.1",
    certificateFile,
    privateKeyFile,
    serverCertificateManager,
    userCertificateManager: serverCertificateManager,
    serverInfo: { applicationUri: "urn:test:peer" },
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [
      SecurityPolicy.None,
      SecurityPolicy.Basic256Sha256,
      SecurityPolicy.Aes128_Sha256_RsaOaep,
      SecurityPolicy.Aes256_Sha256_RsaPss,
    ],
    userManager: { isValidUser: (user, password) => user === "fermloop" && password === "s3cret" },
    allowAnonymous: true,
    disableDiscovery: true,
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  space.registerNamespace("urn:test:before");
  const own = space.registerNamespace("urn:test:plant");
  let air = 1.0;
  own.addAnalogDataItem({
    organizedBy: space.rootFolder.objects,
    browseName: "temperature",
    nodeId: "s=temperature",
    dataType: "Double",
    engineeringUnits: standardUnits.degree_celsius,
    engineeringUnitsRange: { low: 0, high: 150 },
    value: new Variant({ dataType: DataType.Double, value: 37.25 }),
  });
  own.addVariable({
    organizedBy: space.rootFolder.objects,
    browseName: "air",
    nodeId: "s=air",
    dataType: "Float",
    minimumSamplingInterval: 50,
    value: {
      get: () => new Variant({ dataType: DataType.Float, value: air }),
      set: (variant) => {
        air = variant.value;
        return StatusCodes.Good;
      },
    },
  });
  own.addVariable({
    organizedBy: space.rootFolder.objects,
    browseName: "probe",
    nodeId: "s=probe",
    dataType: "Double",
    minimumSamplingInterval: 50,
    value: { get: () => StatusCodes.BadSensorFailure },
  });
  await server.start();
  console.log(JSON.stringify({ ready: `opc.tcp://127.0.0.1:${port}` }));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});

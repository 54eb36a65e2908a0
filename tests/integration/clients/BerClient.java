// SPDX-License-Identifier: Apache-2.0

import java.io.*;
import java.math.BigInteger;
import java.net.HttpURLConnection;
import java.net.URL;
import java.security.*;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.IssuerAndSerialNumber;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.*;
import org.bouncycastle.openssl.jcajce.*;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.*;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/**
 * A SCEP client on Bouncy Castle whose messages are BER of indefinite length, the outer SignedData
 * and the EnvelopedData in it. What it gets is printed, PEM.
 */
public class BerClient {
    static final String SCEP = "2.16.840.1.113733.1.9.";
    final String url, method;
    final X509CertificateHolder ca, responder;
    final PrivateKey key;
    final PublicKey publicKey;
    final X509CertificateHolder signer;
    final String transaction = new BigInteger(128, new SecureRandom()).toString(16);
    final X500Name subject = new X500Name("CN=anything");

    BerClient(String[] args) throws Exception {
        url = args[0];
        method = args[1];
        ca = (X509CertificateHolder) read(args[2]);
        responder = (X509CertificateHolder) read(args[3]);
        KeyPair pair = new JcaPEMKeyConverter().getKeyPair((PEMKeyPair) read(args[4]));
        key = pair.getPrivate();
        publicKey = pair.getPublic();
        signer = args[5].equals("-") ? selfSigned() : (X509CertificateHolder) read(args[5]);
    }

    /** URL POST|GET CA RESPONDER KEY CERTIFICATE|- OPERATION ... */
    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BerClient client = new BerClient(args);
        for (int i = 6; i < args.length; i++) {
            String[] operation = args[i].split("=", 2);
            switch (operation[0]) {
            case "PKCSReq":
                client.ask("19", client.request(operation[1]));
                break;
            case "CertPoll":
                client.ask("20", new DERSequence(new ASN1Encodable[] {
                    client.ca.getSubject(), client.subject}).getEncoded());
                break;
            case "GetCert":
                client.ask("21", client.named(new BigInteger(operation[1])));
                break;
            case "GetCRL":
                client.ask("22", client.named(client.signer.getSerialNumber()));
                break;
            default:
                throw new IllegalArgumentException(args[i]);
            }
        }
    }

    static Object read(String file) throws IOException {
        try (PEMParser parser = new PEMParser(new FileReader(file))) {
            return parser.readObject();
        }
    }

    ContentSigner contentSigner() throws Exception {
        return new JcaContentSignerBuilder("SHA256withRSA").build(key);
    }

    X509CertificateHolder selfSigned() throws Exception {
        Date now = new Date();
        return new JcaX509v3CertificateBuilder(subject, BigInteger.ONE, now,
            new Date(now.getTime() + 3600000), subject, publicKey).build(contentSigner());
    }

    byte[] request(String challenge) throws Exception {
        return new JcaPKCS10CertificationRequestBuilder(subject, publicKey)
            .addAttribute(PKCSObjectIdentifiers.pkcs_9_at_challengePassword,
                          new DERPrintableString(challenge))
            .build(contentSigner()).getEncoded();
    }

    byte[] named(BigInteger serial) throws IOException {
        return new IssuerAndSerialNumber(ca.getSubject(), serial).getEncoded();
    }

    static byte[] indefinite(ByteArrayOutputStream made) {
        byte[] ber = made.toByteArray();
        if ((ber[1] & 0xff) != 0x80)
            throw new IllegalStateException("not of indefinite length");
        return ber;
    }

    byte[] envelope(byte[] content) throws Exception {
        ByteArrayOutputStream made = new ByteArrayOutputStream();
        CMSEnvelopedDataStreamGenerator generator = new CMSEnvelopedDataStreamGenerator();
        generator.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(
            new JcaX509CertificateConverter().getCertificate(responder)));
        generator.setBufferSize(100); // in that many pieces
        try (OutputStream out = generator.open(
                 made, new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).build())) {
            out.write(content);
        }
        return indefinite(made);
    }

    static Attribute attribute(String number, ASN1Encodable value) {
        return new Attribute(new ASN1ObjectIdentifier(SCEP + number), new DERSet(value));
    }

    byte[] sign(String type, byte[] nonce, byte[] content) throws Exception {
        ByteArrayOutputStream made = new ByteArrayOutputStream();
        ASN1EncodableVector attributes = new ASN1EncodableVector();
        attributes.add(attribute("2", new DERPrintableString(type)));
        attributes.add(attribute("5", new DEROctetString(nonce)));
        attributes.add(attribute("7", new DERPrintableString(transaction)));
        CMSSignedDataStreamGenerator generator = new CMSSignedDataStreamGenerator();
        generator.addSignerInfoGenerator(
            new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().build())
                .setSignedAttributeGenerator(
                    new DefaultSignedAttributeTableGenerator(new AttributeTable(attributes)))
                .build(contentSigner(), signer));
        generator.addCertificate(signer);
        generator.setBufferSize(100);
        try (OutputStream out = generator.open(made, true)) {
            out.write(content);
        }
        return indefinite(made);
    }

    /** By GET the base64 stands in the query as it is. */
    byte[] send(byte[] message) throws IOException {
        String query = "?operation=PKIOperation";
        if (method.equals("GET"))
            query += "&message=" + Base64.getEncoder().encodeToString(message);
        HttpURLConnection connection = (HttpURLConnection) new URL(url + query).openConnection();
        if (method.equals("POST")) {
            connection.setDoOutput(true);
            connection.setRequestProperty("Content-Type", "application/x-pki-message");
            connection.getOutputStream().write(message);
        }
        if (!connection.getContentType().equals("application/x-pki-message"))
            throw new IOException("content type " + connection.getContentType());
        return connection.getInputStream().readAllBytes();
    }

    static String text(SignerInformation info, String number) {
        Attribute found = info.getSignedAttributes().get(new ASN1ObjectIdentifier(SCEP + number));
        return found == null ? null : ((ASN1String) found.getAttributeValues()[0]).getString();
    }

    static byte[] octets(SignerInformation info, String number) {
        return ((ASN1OctetString) info.getSignedAttributes().get(
            new ASN1ObjectIdentifier(SCEP + number)).getAttributeValues()[0]).getOctets();
    }

    static void demand(boolean holds, String what) {
        if (!holds)
            throw new IllegalStateException(what);
    }

    void ask(String type, byte[] content) throws Exception {
        byte[] nonce = new byte[16];
        new SecureRandom().nextBytes(nonce);
        CMSSignedData reply = new CMSSignedData(send(sign(type, nonce, envelope(content))));
        SignerInformation info = reply.getSignerInfos().iterator().next();
        demand(info.verify(new JcaSimpleSignerInfoVerifierBuilder().build(
                   new JcaX509CertificateConverter().getCertificate(responder))), "signature");
        demand("3".equals(text(info, "2")), "messageType");
        demand(transaction.equals(text(info, "7")), "transactionID");
        demand(Arrays.equals(nonce, octets(info, "6")), "recipientNonce");
        demand("0".equals(text(info, "3")), "pkiStatus " + text(info, "3") + ", failInfo "
                                                + text(info, "4"));
        show((byte[]) reply.getSignedContent().getContent());
    }

    void show(byte[] envelope) throws Exception {
        RecipientInformation recipient =
            new CMSEnvelopedData(envelope).getRecipientInfos().iterator().next();
        CMSSignedData bag =
            new CMSSignedData(recipient.getContent(new JceKeyTransEnvelopedRecipient(key)));
        JcaPEMWriter out = new JcaPEMWriter(new PrintWriter(System.out));
        for (X509CertificateHolder cert : bag.getCertificates().getMatches(null))
            out.writeObject(cert);
        for (X509CRLHolder list : bag.getCRLs().getMatches(null))
            out.writeObject(list);
        out.flush();
    }
}

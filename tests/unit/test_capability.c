/* SPDX-License-Identifier: Apache-2.0
 * Unit tests of mdm_capability: models and versions at each edge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mdm_capability.h"

static void assert_can(const char *product, const char *version, int acme, int hardware, int attest,
                       int modern)
{
    mdm_capability_t c = mdm_capability_of(product, version);

    if (c.acme != acme || c.hardware != hardware || c.attest != attest || c.modern != modern)
        fail_msg("%s %s: ACME %d, hardware %d, attestation %d, modern PKCS #12 %d", product,
                 version, c.acme, c.hardware, c.attest, c.modern);
}

static void test_versions(void **state)
{
    (void)state;
    assert_can("iPhone17,2", "15.8", 0, 0, 0, 0);
    assert_can("iPhone17,2", "16.0", 1, 1, 1, 0);
    assert_can("iPhone17,2", "17.7.2", 1, 1, 1, 0);
    assert_can("iPhone17,2", "18.0", 1, 1, 1, 1);
    assert_can("iPhone17,2", "22B83", 1, 1, 1, 1);
    assert_can("iPhone17,2", "26.1", 1, 1, 1, 1);
    assert_can("Mac14,2", "13.0", 0, 0, 0, 0);
    assert_can("Mac14,2", "13.1", 1, 0, 0, 0);
    assert_can("Mac14,2", "14.0", 1, 1, 1, 0);
    assert_can("Mac14,2", "15.0", 1, 1, 1, 1);
    assert_can("AppleTV11,1", "15.6", 0, 0, 0, 0);
    assert_can("AppleTV11,1", "16.0", 1, 1, 1, 0);
    assert_can("AppleTV11,1", "18.0", 1, 1, 1, 1);
    assert_can("RealityDevice14,1", "1.0", 1, 1, 1, 0);
    assert_can("RealityDevice14,1", "2.0", 1, 1, 1, 1);
    assert_can("Watch4,1", "8.5", 0, 0, 0, 0);
    assert_can("Watch4,1", "9.0", 1, 1, 0, 0);
    assert_can("Watch4,1", "10.0", 1, 1, 1, 0);
}

static void test_models(void **state)
{
    (void)state;
    /* A10 and A10X attest nothing, A11 does, and what an iPad has is A12X then */
    assert_can("iPhone9,3", "16.0", 1, 1, 0, 0);
    assert_can("iPhone10,1", "16.0", 1, 1, 1, 0);
    assert_can("iPad7,11", "18.1", 1, 1, 0, 1);
    assert_can("iPad8,1", "18.1", 1, 1, 1, 1);
    assert_can("AppleTV5,3", "18.0", 1, 1, 0, 1);
    assert_can("AppleTV6,2", "18.0", 1, 1, 0, 1);
    assert_can("AppleTV14,1", "18.0", 1, 1, 1, 1);
    assert_can("Watch3,1", "10.0", 1, 1, 0, 0);
    /* neither, T2, Apple silicon */
    assert_can("MacBookPro14,1", "14.0", 1, 0, 0, 0);
    assert_can("MacBookPro15,1", "14.0", 1, 1, 0, 0);
    assert_can("MacBookPro16,4", "15.1", 1, 1, 0, 1);
    assert_can("MacBookPro17,1", "14.0", 1, 1, 1, 0);
    assert_can("MacBookPro18,3", "14.0", 1, 1, 1, 0);
    assert_can("MacBookAir7,2", "14.0", 1, 0, 0, 0);
    assert_can("MacBookAir8,1", "14.0", 1, 1, 0, 0);
    assert_can("MacBookAir9,1", "14.0", 1, 1, 0, 0);
    assert_can("MacBookAir10,1", "14.0", 1, 1, 1, 0);
    assert_can("Macmini7,1", "14.0", 1, 0, 0, 0);
    assert_can("Macmini8,1", "14.0", 1, 1, 0, 0);
    assert_can("Macmini9,1", "14.0", 1, 1, 1, 0);
    assert_can("iMac19,1", "14.0", 1, 0, 0, 0);
    assert_can("iMac20,1", "14.0", 1, 1, 0, 0);
    assert_can("iMac21,1", "14.0", 1, 1, 1, 0);
    assert_can("iMacPro1,1", "14.0", 1, 1, 0, 0);
    assert_can("MacPro6,1", "14.0", 1, 0, 0, 0);
    assert_can("MacPro7,1", "14.0", 1, 1, 0, 0);
    assert_can("MacBook10,1", "14.0", 1, 0, 0, 0);
    assert_can("Mac13,1", "14.0", 1, 1, 1, 0);
}

static void test_unknown(void **state)
{
    (void)state;
    /* newer models */
    assert_can("iPhone99,1", "30.0", 1, 1, 1, 1);
    assert_can("Mac99,12", "30.0", 1, 1, 1, 1);
    /* a virtual machine has no Secure Enclave of its own */
    assert_can("VirtualMac2,1", "15.0", 1, 0, 0, 1);
    /* unknown forms, and no version */
    assert_can("iPhone", "18.0", 0, 0, 0, 0);
    assert_can("Phone17,2", "18.0", 0, 0, 0, 0);
    assert_can("iPhone17", "18.0", 0, 0, 0, 0);
    assert_can("iPhone17,2 ", "18.0", 0, 0, 0, 0);
    assert_can("", "18.0", 0, 0, 0, 0);
    assert_can("iPhone17,2", "", 0, 0, 0, 0);
    assert_can("iPhone17,2", "eighteen", 0, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * mdm_system: real products, versions and builds, and what is none. Depends on core.
 */
#include "mdm_system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void products(void **state)
{
    static const struct {
        const char *product;
        const char *platform;
    } cases[] = {
        {"iPhone17,2", "iOS"},
        {"iPad8,12", "iOS"},
        {"iPod9,1", "iOS"},
        {"AppleTV14,1", "tvOS"},
        {"Mac15,12", "macOS"},
        {"MacBookPro18,2", "macOS"},
        {"iMac21,1", "macOS"},
        {"VirtualMac2,1", "macOS"},
        {"Macmini9,1", "macOS"},
        {"RealityDevice14,1", "visionOS"},
        {"Watch7,3", "watchOS"},
        {"iMacPro1,1", "macOS"},
        {"", ""},
        {"iPhone", ""},
        {"iPhone17", ""},
        {"iPhone17,", ""},
        {"iPhone17,2x", ""},
        {"iPhoneX17,2", ""},
        {"iPhone99999,1", ""},
        {"17,2", ""},
        {"AudioAccessory5,1", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(mdm_platform_name(mdm_system_of(cases[i].product, "").platform),
                            cases[i].platform);
}

static void models(void **state)
{
    int family, generation, variant;

    (void)state;
    assert_int_equal(mdm_system_model("MacBookPro18,2", &family, &generation, &variant), 1);
    assert_int_equal(family, 10);
    assert_int_equal(generation, 18);
    assert_int_equal(variant, 2);
    assert_int_equal(mdm_system_model("MacBookPro", &family, &generation, &variant), 0);
}

static void versions(void **state)
{
    static const struct {
        const char *product;
        const char *version;
        int wanted;
    } cases[] = {
        {"iPhone17,2", "18.1", MDM_OS(18, 1, 0)},
        {"iPhone17,2", "17.4.1", MDM_OS(17, 4, 1)},
        {"iPhone17,2", "26", MDM_OS(26, 0, 0)},
        {"iPhone17,2", "16.5.1 (a)", MDM_OS(16, 5, 1)},
        {"", "18.1", MDM_OS(18, 1, 0)},
        /* builds, as Apple published them */
        {"iPhone17,2", "22B83", MDM_OS(18, 1, 0)},
        {"iPhone10,1", "19H12", MDM_OS(15, 7, 0)},
        {"iPhone10,1", "20A362", MDM_OS(16, 0, 0)},
        {"iPad8,12", "21E219", MDM_OS(17, 4, 0)},
        {"iPhone17,2", "23A341", MDM_OS(26, 0, 0)},
        {"MacBookPro18,2", "22C65", MDM_OS(13, 1, 0)},
        {"MacBookPro18,2", "22A380", MDM_OS(13, 0, 0)},
        {"MacBookPro18,2", "23A344", MDM_OS(14, 0, 0)},
        {"MacBookPro18,2", "24B83", MDM_OS(15, 0, 0)},
        {"Mac15,12", "25A354", MDM_OS(26, 0, 0)},
        {"MacBookPro11,1", "19H15", MDM_OS(10, 15, 0)},
        {"MacBookPro11,1", "20G165", MDM_OS(11, 5, 0)},
        {"RealityDevice14,1", "21N301", MDM_OS(1, 0, 0)},
        {"RealityDevice14,1", "22N320", MDM_OS(2, 0, 0)},
        {"RealityDevice14,1", "23M336", MDM_OS(26, 0, 0)},
        {"AppleTV14,1", "22J580", MDM_OS(18, 0, 0)},
        {"Watch7,3", "22R349", MDM_OS(11, 0, 0)},
        /* none */
        {"iPhone17,2", "", 0},
        {"iPhone17,2", "soon", 0},
        {"iPhone17,2", "18.", 0},
        {"iPhone17,2", "22b83", 0},
        {"iPhone17,2", "22B", 0},
        {"", "22B83", 0},
        {"iPhone17,2", "18.100", 0},
        {"iPhone17,2", "99999.1", 0},
        {"iPhone17,2", "3A1", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int seen = mdm_system_of(cases[i].product, cases[i].version).version;

        if (seen != cases[i].wanted)
            print_error("%s %s\n", cases[i].product, cases[i].version);
        assert_int_equal(seen, cases[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(models),
        cmocka_unit_test(versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

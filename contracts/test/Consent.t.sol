// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DemoToken} from "../src/dev/DemoToken.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {SignerTest} from "./SignerTest.sol";
import {Wallet} from "./mocks/Wallet.sol";

contract ConsentTest is SignerTest {
    // ------------------------------------------------------------- by allowance

    function test_AllowanceNeedsARegisteredReceiver() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.receiver = stranger;
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.ReceiverNotRegistered.selector, stranger));
        escrow.authorize(terms, "");
    }

    function test_ARegistrationCountsFromTheEndOfItsDelay() public {
        vm.prank(admin);
        escrow.registerReceiver(stranger);
        uint256 activeFrom = block.timestamp + DELAY;
        assertEq(escrow.receiverActiveFrom(stranger), activeFrom);

        vm.warp(activeFrom - 1);
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.receiver = stranger;
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.ReceiverNotRegistered.selector, stranger));
        escrow.authorize(terms, "");

        vm.warp(activeFrom);
        lock(terms);
    }

    function test_ARemovedReceiverCountsNoMore() public {
        vm.prank(admin);
        escrow.removeReceiver(receiver);
        IPreauthEscrow.Terms memory terms = someTerms();
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.ReceiverNotRegistered.selector, receiver));
        escrow.authorize(terms, "");
    }

    function test_ASenderCanDemandSignatures() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        expectEvent();
        emit IPreauthEscrow.SignedConsentRequired(sender, true);
        vm.prank(sender);
        escrow.requireSignedConsent(true);
        assertTrue(escrow.signedConsentRequired(sender));

        refused(operator, abi.encodeWithSelector(IPreauthEscrow.ConsentRequired.selector, sender));
        escrow.authorize(terms, "");

        bytes memory consent = signed(terms, "sender");
        vm.prank(operator);
        escrow.authorize(terms, consent);

        expectEvent();
        emit IPreauthEscrow.SignedConsentRequired(sender, false);
        vm.prank(sender);
        escrow.requireSignedConsent(false);
        someHold();
    }

    // -------------------------------------------------------------- by signature

    function test_ASignatureNeedsNoRegisteredReceiver() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.receiver = stranger;
        bytes memory consent = signed(terms, "sender");
        vm.prank(operator);
        escrow.authorize(terms, consent);
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    function test_TheDigestIsTheOneOfTheStandard() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("PreauthEscrow"),
                keccak256("1"),
                block.chainid,
                address(escrow)
            )
        );
        assertEq(escrow.hashTerms(terms), termsHash(terms));
        assertEq(escrow.consentDigest(terms), typedDigest(domain, termsHash(terms)));
    }

    function test_ASignatureCountsForTheSignedTermsOnly() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent = signed(terms, "sender");
        for (uint256 field = 0; field < ALTERABLE_FIELDS; ++field) {
            // Nothing is there that could be another token.
            if (field == 2) continue;
            assertRefused(altered(terms, field), consent, IPreauthEscrow.InvalidConsent.selector);
        }
        DemoToken other = new DemoToken("Other Dollar", "ODUS", 6);
        (address named, bytes32 preauthId) = (terms.token, terms.preauthId);
        terms.token = address(other);
        assertRefused(terms, consent, IPreauthEscrow.InvalidConsent.selector);
        (terms.token, terms.preauthId) = (named, preauthId ^ bytes32(uint256(1)));
        assertRefused(terms, consent, IPreauthEscrow.InvalidConsent.selector);
    }

    function test_ASignatureOfAnotherIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent = signed(terms, "receiver");
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        escrow.authorize(terms, consent);
    }

    function test_ASignatureForAnotherEscrowOrChainIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory elsewhere = byTerms(ecdsa(anotherEscrow().consentDigest(terms), "sender"));
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        escrow.authorize(terms, elsewhere);

        bytes memory here = signed(terms, "sender");
        vm.chainId(block.chainid + 1);
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        escrow.authorize(terms, here);
    }

    function test_AnUnknownKindIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent = signed(terms, "sender");
        for (uint256 kind = 0; kind < 256; ++kind) {
            if (kind >= 1 && kind <= 4) continue;
            consent[0] = bytes1(uint8(kind));
            refused(operator, IPreauthEscrow.InvalidConsent.selector);
            escrow.authorize(terms, consent);
        }
    }

    function test_ASignatureOfAnyOtherLengthIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent = signed(terms, "sender");
        for (uint256 length = 1; length < 70; ++length) {
            if (length == consent.length) continue;
            bytes memory other = new bytes(length);
            for (uint256 i = 0; i < length && i < consent.length; ++i) {
                other[i] = consent[i];
            }
            refused(operator, IPreauthEscrow.InvalidConsent.selector);
            escrow.authorize(terms, other);
        }
    }

    function test_TheMirroredSignatureIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("sender"), escrow.consentDigest(terms));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes memory mirrored = abi.encodePacked(uint8(1), r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        escrow.authorize(terms, mirrored);
    }

    function testFuzz_NoOtherBytesAreConsent(bytes calldata consent) public {
        vm.assume(consent.length != 0);
        assertRefused(someTerms(), consent);
        for (uint8 kind = 1; kind <= 4; ++kind) {
            assertRefused(someTerms(), abi.encodePacked(kind, consent));
        }
    }

    function testFuzz_AChangedBitIsNoSignature(uint256 bit) public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent = signed(terms, "sender");
        bit = bound(bit, 0, consent.length * 8 - 1);
        consent[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        assertRefused(terms, consent);
    }

    // --------------------------------------------------------------- by contract

    function test_AContractWalletConsentsByErc1271() public {
        (Wallet wallet, IPreauthEscrow.Terms memory terms) = walletWithAllowance();
        bytes memory consent = byTerms(byPassword(escrow.consentDigest(terms)));
        vm.prank(operator);
        escrow.authorize(terms, consent);
        assertHeld(terms);
        assertEq(token.balanceOf(address(wallet)), HOLD);
    }

    function test_AContractWalletThatDoesNotConsentIsRejected() public {
        (Wallet wallet, IPreauthEscrow.Terms memory terms) = walletWithAllowance();
        bytes memory wrong = byTerms(byPassword(escrow.hashTerms(terms)));
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        escrow.authorize(terms, wrong);

        bytes memory right = byTerms(byPassword(escrow.consentDigest(terms)));
        Wallet.Manner[4] memory manners =
            [Wallet.Manner.WrongAnswer, Wallet.Manner.Revert, Wallet.Manner.BurnAllGas, Wallet.Manner.ReturnBomb];
        for (uint256 i = 0; i < manners.length; ++i) {
            wallet.setManner(manners[i]);
            vm.expectRevert(IPreauthEscrow.InvalidConsent.selector);
            vm.prank(operator);
            escrow.authorize{gas: 5_000_000}(terms, right);
        }
    }

    /// @dev Under EIP-7702 an account has code and a key, and the key goes on to speak for it.
    function test_AnAccountWithCodeConsentsByItsKey() public {
        Wallet wallet = new Wallet(PASSWORD);
        vm.etch(sender, address(wallet).code);
        IPreauthEscrow.Terms memory byKey = someTerms();
        bytes memory consent = signed(byKey, "sender");
        vm.prank(operator);
        escrow.authorize(byKey, consent);

        IPreauthEscrow.Terms memory byCode = someTerms();
        consent = byTerms(byPassword(escrow.consentDigest(byCode)));
        vm.prank(operator);
        escrow.authorize(byCode, consent);

        IPreauthEscrow.Terms memory byNeither = someTerms();
        consent = signed(byNeither, "stranger");
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        escrow.authorize(byNeither, consent);
    }

    // ------------------------------------------------------------------- helpers

    function walletWithAllowance() private returns (Wallet wallet, IPreauthEscrow.Terms memory terms) {
        (wallet, terms) = someWallet(address(token));
        wallet.approve(token, address(escrow));
    }
}
